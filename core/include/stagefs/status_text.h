// `status` for people and for programs: the same words from the command line and from .stagefs/status.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "stagefs/workspace.h"

namespace stagefs {

using TextSink = std::function<Status(std::string_view)>;

// A name, a target or a message as people are shown it on one line: what would control a terminal is quoted, as git and
// ls do it; anything else stays readable.
std::string ShowText(const std::string& text);

struct StatusStyle {
  bool expand = false;      // A renamed folder file by file.
  bool zero_ended = false;  // Lines end in NUL and paths are raw bytes, for programs.
};

// One line a path, sorted by path:
//   A  train/a.jpg                    added          M modified, D removed
//   R  old -> new (3 files)           a renamed folder
//   ?  .a.swp (scratch, never staged)
//   A  latest -> v1 (symbolic link)
//   L  latest -> v1 (symbolic link, not staged: touch -h or rename it to stage it)
//   E  empty/ (empty folder, not in commits)
// and then
//   W  train/b.jpg (being written)
//   W  train/e.jpg (closed, being staged)
//   X  train/c.jpg (refused, not staged: retry or dismiss)
//   !  train/d.jpg (recovered after a crash: retry or dismiss)
Status WriteStatusText(Workspace& workspace, const StatusStyle& style, const TextSink& write);

// {"workspace": {…}, "staged_entries": [{"path", "status", "sha256", …}], "being_written": [{"path"}],
//  "refused": […], "recovered": […], "counts": {"added": 1, …}}
Status WriteStatusJson(Workspace& workspace, bool expand, const TextSink& write);

}  // namespace stagefs
