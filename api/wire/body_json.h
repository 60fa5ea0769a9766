// The pieces that bodies are made of. For the other files of bodies alone.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "views.h"
#include "stagefs/stage_report.h"

namespace stagefs::wire {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json);
// {"status":…, "status_message":…, "oxen_version":…}
Json Base(std::string_view status, std::string_view message);

Json ToJson(const CommitView& commit);
Json ToJson(const BranchView& branch);
Json ToJson(const TagView& tag);
Json ToJson(const WorkspaceView& workspace);
Json ToJson(const RefusedEntry& entry);
Json ToJson(const EntryView& entry, const RevisionView& revision);

// Adds `path_base64` where the bytes of a path are not UTF-8, so that its text in `json` is not all of it.
void AddExactPath(Json& json, const std::string& path);
// {"path": …}
Json PathJson(const std::string& path);

// An entry as Oxen prints it; `filename` is a name in listings and a whole path in changes.
Json FileEntry(const std::string& path, const std::string& filename, const std::string& hash, bool folder,
               uint64_t size_bytes);
// A path in a revision.
Json ResourceOf(const RevisionView& revision, const std::string& path);
Json DataTypes(const std::map<std::string, int64_t>& counts);
Json DisplayList(const std::vector<std::string>& texts);
void AddPage(Json& json, const PageView& page);

template <class View>
Json OrNull(const std::optional<View>& view) {
  return view ? ToJson(*view) : Json(nullptr);
}

template <class View>
Json ListOf(const std::vector<View>& views) {
  Json list = Json::array();
  for (const View& view : views) list.push_back(ToJson(view));
  return list;
}

}  // namespace stagefs::wire
