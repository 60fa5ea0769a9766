// What a crash left unfinished, for somebody to retry or to dismiss.
//
// Such files lie flat in recovered/WORKSPACE/, each as N-NAME: N counts up, NAME is the file's own, shortened to fit
// 255 bytes. Where each belonged is in `list` beside them, which is synced before a file is moved in:
//
//   "stagefs recovered 1" LF  ( N-NAME NUL PATH NUL )*
//
// A record that is not whole, or whose file is not there, is passed over; the last record of a name counts. A file
// without a record belonged at its own name: those of stagefs 0.1.0 lie nested, as their paths, and have none. Where
// 0.1.0 left a file or a folder `list`, that becomes an N-list.
#pragma once

#include <string>
#include <vector>

#include "stagefs/repository.h"

namespace stagefs {

struct RecoveredFile {
  std::string name;  // Below recovered/WORKSPACE.
  std::string path;  // Of the workspace, where it belonged.
};

std::string RecoveredFolder(const Repository& repository, const WorkspaceInfo& workspace);
// In order of their paths.
Result<std::vector<RecoveredFile>> ListRecovered(Repository& repository, const WorkspaceInfo& workspace);

// Moves `file`, which was written for `path`, into recovered/`workspace`; durably.
Status AddRecovered(Repository& repository, const std::string& workspace, const std::string& path,
                    const std::string& file);

// A folder of recovered/ that is no workspace's: of one that was deleted, or of what nobody knows where it belonged. No
// command stages what is in it: whoever wants that copies it out, and removes the folder.
struct RecoveredFolderOfNobody {
  std::string folder;
  size_t files = 0;
};
Result<std::vector<RecoveredFolderOfNobody>> ListRecoveredOfNobody(Repository& repository);

// Stages a file at its path again, or removes it. It is given by its name, or by its path: then the newest of that
// path. kNotFound.
Status RetryRecovered(Repository& repository, const WorkspaceInfo& workspace, const std::string& name_or_path);
Status DismissRecovered(Repository& repository, const WorkspaceInfo& workspace, const std::string& name_or_path);

}  // namespace stagefs
