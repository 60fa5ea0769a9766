#include "workspace_bodies.h"

#include "body_json.h"
#include "status_bodies.h"
#include "stagefs/error_names.h"
#include "stagefs/text.h"

namespace stagefs {

using namespace wire;

namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

Json ChangesJson(const ChangesView::List& list) {
  Json entries = Json::array();
  for (const ChangesView::Change& change : list.entries) {
    entries.push_back(FileEntry(change.path, change.path, change.hash, false, change.size_bytes));
  }
  Json json = {
      {"dir", nullptr}, {"entries", std::move(entries)}, {"resource", nullptr}, {"metadata", nullptr}};
  AddPage(json, list.page);
  return json;
}

// What would have become of the entries.
std::string DryRunMembers(const StageReport& report) {
  const Json counts = {{"dry_run", true},
                       {"entries", report.entries},
                       {"added", report.added},
                       {"modified", report.modified},
                       {"unchanged", report.unchanged},
                       {"replaced", report.replaced.size()},
                       {"refused", report.refused.size()}};
  const std::string text = Dump(counts);
  return text.substr(1, text.size() - 2) + ',';
}

}  // namespace

std::string WorkspaceBody(std::string_view message, const WorkspaceView& workspace) {
  Json body = Base("success", message);
  body["workspace"] = ToJson(workspace);
  return Dump(body);
}

std::string WorkspacesBody(const std::vector<WorkspaceView>& workspaces) {
  Json body = Base("success", kCreated);  // Sic: what Oxen says here.
  body["workspaces"] = ListOf(workspaces);
  return Dump(body);
}

std::string ErrFilesBody(const std::vector<RefusedEntry>& refused) {
  Json body = Base("success", kCreated);
  body["err_files"] = ListOf(refused);
  return Dump(body);
}

std::string StagedPathsBody(const std::vector<std::string>& paths, const std::vector<RefusedEntry>& refused) {
  Json body = Base("success", kCreated);
  body["paths"] = DisplayList(paths);
  body["err_files"] = ListOf(refused);
  return Dump(body);
}

std::string PathsBody(std::string_view status, std::string_view message,
                      const std::vector<std::string>& paths) {
  Json body = Base(status, message);
  body["paths"] = DisplayList(paths);
  return Dump(body);
}

Status WriteErrFiles(const StageReport& report, const BodySink& write) {
  std::string head = Dump(report.Withdrawn() ? Base("error", "conflict") : Base("success", kCreated));
  head.back() = ',';
  if (report.dry_run) head += DryRunMembers(report);
  STAGEFS_RETURN_IF_ERROR(write(head + "\"err_files\":["));
  bool first = true;
  STAGEFS_RETURN_IF_ERROR(report.refused.ForEach([&](const RefusedEntry& entry) {
    Json json = ToJson(entry);
    json["code"] = NameOf(entry.code);
    json[PlaceWord(report.counts_entries)] = entry.number;
    const std::string item = Dump(json);
    const bool was_first = std::exchange(first, false);
    return write((was_first ? "" : ",") + item);
  }));
  return write("]}");
}

std::string ChangesBody(const ChangesView& changes) {
  int64_t files = 0;
  Json paths = Json::object();
  for (const auto& [folder, count] : changes.folders) {
    files += count;
    if (folder.empty()) continue;
    Json& added = paths[ToDisplayUtf8(ParentOf(folder))].emplace_back(PathJson(folder));
    added.update({{"num_files_staged", count}, {"total_files", 0}, {"status", "Added"}});
  }
  Json body = Base("success", kFound);
  body["staged"] = {{"added_dirs", {{"num_files_staged", files}, {"total_files", 0}, {"paths", paths}}},
                    {"added_files", ChangesJson(changes.added)},
                    {"modified_files", ChangesJson(changes.modified)},
                    {"removed_files", ChangesJson(changes.removed)}};
  return Dump(body);
}

}  // namespace stagefs
