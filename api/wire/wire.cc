#include "wire.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "file_type.h"
#include "server/http_status.h"
#include "stagefs/posix_env.h"
#include "stagefs/repo_path.h"
#include "stagefs/status.h"

namespace stagefs {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json Base(std::string_view status, std::string_view message) {
  return {{"status", status}, {"status_message", message}, {"oxen_version", kOxenVersion}};
}

Json ToJson(const CommitView& commit) {
  return {{"id", commit.info.id},
          {"parent_ids", commit.parents},
          {"message", ToDisplayUtf8(commit.info.message)},
          {"author", ToDisplayUtf8(commit.info.author)},
          {"email", ToDisplayUtf8(commit.info.email)},
          {"timestamp", FormatTime(commit.info.time_ns)}};
}

Json ToJson(const BranchView& branch) { return {{"name", branch.name}, {"commit_id", branch.commit_id}}; }

Json ToJson(const WorkspaceView& workspace) {
  Json json = {{"id", workspace.info.uid},
               {"name", nullptr},
               {"commit", ToJson(workspace.commit)},
               {"created_at", FormatTime(workspace.info.created_ns)}};
  if (workspace.info.name) json["name"] = *workspace.info.name;
  return json;
}

Json ToJson(const RefusedEntry& entry) {
  // An upload that is refused has no path.
  return {{"hash", ToDisplayUtf8(entry.hash)},
          {"path", entry.path.empty() ? Json(nullptr) : Json(ToDisplayUtf8(entry.path))},
          {"error", ToDisplayUtf8(entry.reason)}};
}

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

Json DisplayList(const std::vector<std::string>& texts) {
  Json list = Json::array();
  for (const std::string& text : texts) list.push_back(ToDisplayUtf8(text));
  return list;
}

Json ResourceOf(const RevisionView& revision, const std::string& path) {
  const std::string shown = ToDisplayUtf8(path);
  return {{"commit", ToJson(revision.commit)},
          {"branch", OrNull(revision.branch)},
          {"workspace", OrNull(revision.workspace)},
          {"path", shown},
          {"version", revision.name},
          {"resource", shown.empty() ? revision.name : revision.name + '/' + shown}};
}

std::string NameOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

// An entry as Oxen prints it; `filename` is a name in listings and a whole path in changes.
Json FileEntry(const std::string& path, const std::string& filename, const std::string& hash, bool folder,
               uint64_t size_bytes) {
  const FileType type = FileTypeOf(path);
  Json entry = {{"filename", ToDisplayUtf8(filename)},
                {"hash", hash},
                {"is_dir", folder},
                {"latest_commit", nullptr},
                {"resource", nullptr},
                {"size", size_bytes},
                {"data_type", folder ? "dir" : type.data_type},
                {"mime_type", folder ? "inode/directory" : type.mime_type},
                {"extension", folder ? "" : ToDisplayUtf8(type.extension)},
                {"metadata", nullptr},
                {"is_queryable", nullptr}};
  if (!IsValidUtf8(path)) entry["path_base64"] = Base64(path);
  return entry;
}

Json ToJson(const EntryView& entry, const RevisionView& revision) {
  Json json = FileEntry(entry.path, NameOf(entry.path), entry.hash, entry.folder, entry.size_bytes);
  json["latest_commit"] = OrNull(entry.latest);
  json["resource"] = ResourceOf(revision, entry.path);
  if (!entry.change.empty()) json["changes"] = {{"status", entry.change}};
  return json;
}

int64_t PagesOf(const PageView& page) {
  return std::max<int64_t>(1, (page.total_entries + page.size - 1) / page.size);
}

void AddPage(Json& json, const PageView& page) {
  json["page_size"] = page.size;
  json["page_number"] = page.number;
  json["total_pages"] = PagesOf(page);
  json["total_entries"] = page.total_entries;
}

Json DataTypes(const std::map<std::string, int64_t>& counts) {
  Json list = Json::array();
  for (const auto& [type, count] : counts) list.push_back({{"data_type", type}, {"count", count}});
  return list;
}

// One page of a list whose rest is only counted.
class Page {
 public:
  Page(int64_t number, int64_t size) : number_(number), size_(size) {}
  bool Wants() const { return total_ >= (number_ - 1) * size_ && total_ < number_ * size_; }
  void Add(Json entry) { entries_.push_back(std::move(entry)); }
  void Count() { ++total_; }
  Json Finish() const {
    Json json = {{"dir", nullptr}, {"entries", entries_}, {"resource", nullptr}, {"metadata", nullptr}};
    AddPage(json, {number_, size_, total_});
    return json;
  }

 private:
  const int64_t number_, size_;
  int64_t total_ = 0;
  Json entries_ = Json::array();
};

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace

std::string StatusBody(std::string_view status, std::string_view message) {
  return Dump(Base(status, message));
}

std::string NotFoundBody(std::string_view description) {
  Json body = Base("error", "resource_not_found");
  body["status_description"] = ToDisplayUtf8(description);
  return Dump(body);
}

std::string ErrorBody(unsigned http_status, std::string_view type, std::string_view title,
                      std::string_view detail) {
  return Dump({{"error", {{"type", type}, {"title", title}, {"detail", ToDisplayUtf8(detail)}}},
               {"status", "error"},
               {"status_message", StatusMessageOf(http_status)}});
}

std::string UnauthenticatedBody() {
  return Dump({{"status", "error"}, {"status_message", "unauthenticated"}});
}

std::string VersionBody(bool minimum) {
  Json body = Base("success", kFound);
  if (minimum) body["version"] = kOxenMinVersion;
  return Dump(body);
}

std::string HealthBody(const DiskSpace& space) {
  constexpr double kGb = 1e9;
  const double total = static_cast<double>(space.blocks) * static_cast<double>(space.block_bytes) / kGb;
  const double free =
      static_cast<double>(space.blocks_available) * static_cast<double>(space.block_bytes) / kGb;
  Json body = Base("success", kFound);
  body["disk_usage"] = {{"total_gb", total},
                        {"used_gb", total - free},
                        {"free_gb", free},
                        {"percent_used", total > 0 ? (total - free) / total * 100 : 0.0}};
  return Dump(body);
}

std::string ActionBody(std::string_view action, std::string_view state) {
  return Dump({{"action", action}, {"status", "success"}, {"state", state}});
}

std::string NamespacesBody(const std::vector<std::string>& names) {
  Json body = Base("success", kFound);
  body["namespaces"] = Json::array();
  for (const std::string& name : names) body["namespaces"].push_back({{"namespace", name}});
  return Dump(body);
}

std::string NamespaceBody(const std::string& name) {
  Json body = Base("success", kFound);
  body["namespace"] = {{"namespace", name}, {"storage_usage_gb", 0.0}};
  return Dump(body);
}

std::string RepositoryBody(const RepositoryView& repository) {
  Json body = Base("success", kFound);
  body["repository"] = {{"namespace", repository.name.space},
                        {"name", repository.name.name},
                        {"size", repository.size_bytes},
                        {"data_types", DataTypes(repository.data_types)},
                        {"min_version", kOxenMinVersion},
                        {"is_empty", repository.empty},
                        {"storage_kind", "local"}};
  return Dump(body);
}

std::string CreatedRepositoryBody(const RepositoryName& name, const CommitView& latest) {
  Json body = Base("success", kFound);
  body["repository"] = {{"namespace", name.space},
                        {"name", name.name},
                        {"latest_commit", ToJson(latest)},
                        {"min_version", kOxenMinVersion},
                        {"storage_kind", "local"}};
  body["metadata_entries"] = nullptr;
  return Dump(body);
}

std::string BranchBody(std::string_view message, const BranchView& branch) {
  Json body = Base("success", message);
  body["branch"] = ToJson(branch);
  return Dump(body);
}

std::string BranchesBody(const std::vector<BranchView>& branches) {
  Json body = Base("success", kFound);
  body["branches"] = ListOf(branches);
  return Dump(body);
}

std::string CommitBody(std::string_view message, const CommitView& commit) {
  Json body = Base("success", message);
  body["commit"] = ToJson(commit);
  return Dump(body);
}

std::string CommitsBody(const std::vector<CommitView>& commits, const PageView& page) {
  Json body = Base("success", kFound);
  body["commits"] = ListOf(commits);
  AddPage(body, page);
  body["has_more"] = page.number < PagesOf(page);
  return Dump(body);
}

std::string MergeBody(const CommitView& base, const CommitView& head, const CommitView& merge) {
  Json body = Base("success", kFound);
  body["commits"] = {{"head", ToJson(head)}, {"base", ToJson(base)}, {"merge", ToJson(merge)}};
  return Dump(body);
}

std::string MergeableBody(const std::vector<std::string>& conflicts, const std::vector<CommitView>& commits) {
  Json body = Base("success", kFound);
  body["is_mergeable"] = conflicts.empty();
  body["conflicts"] = Json::array();
  for (const std::string& path : conflicts) body["conflicts"].push_back({{"path", ToDisplayUtf8(path)}});
  body["commits"] = ListOf(commits);
  return Dump(body);
}

std::string RevisionBody(const RevisionView& revision, const std::string& path) {
  Json body = Base("success", kFound);
  body["resource"] = ResourceOf(revision, path);
  return Dump(body);
}

std::string EntryBody(const EntryView& entry, const RevisionView& revision) {
  Json body = Base("success", kFound);
  body["entry"] = ToJson(entry, revision);
  return Dump(body);
}

std::string DirectoryBody(const EntryView& folder, const std::vector<EntryView>& entries,
                          const RevisionView& revision, const std::map<std::string, int64_t>& data_types,
                          const PageView& page) {
  Json body = Base("success", kFound);
  body["dir"] = ToJson(folder, revision);
  body["entries"] = Json::array();
  for (const EntryView& entry : entries) body["entries"].push_back(ToJson(entry, revision));
  body["resource"] = {{"path", ToDisplayUtf8(folder.path)}, {"version", revision.name}};
  body["metadata"] = {{"dir", {{"data_types", DataTypes(data_types)}}}};
  AddPage(body, page);
  return Dump(body);
}

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

std::string VersionMetadataBody(const VersionInfo& version) {
  Json body = Base("success", kFound);
  body["version"] = {{"hash", ToHex(version.content.xxh3)}, {"size", version.size_bytes}};
  return Dump(body);
}

std::string MissingVersionsBody(const std::vector<std::string>& hashes) {
  return Dump({{"error",
                {{"type", "version_blobs_missing"},
                 {"title", "Versions missing"},
                 {"detail", std::to_string(hashes.size()) + " of the versions asked for are not here"},
                 {"missing_hashes", DisplayList(hashes)}}},
               {"status", "error"},
               {"status_message", StatusMessageOf(404)}});
}

std::string UploadStoredBody() {
  Json body = Base("success", kCreated);
  body["file"] = "already_stored";
  return Dump(body);
}

std::string UploadBegunBody(const std::string& id, uint64_t part_bytes, uint64_t parts, unsigned window) {
  Json body = Base("success", kCreated);
  body["file"] = "awaiting_parts";
  body["upload_id"] = id;
  body["part_size"] = part_bytes;
  body["num_parts"] = parts;
  body["part_window"] = window;
  return Dump(body);
}

std::string UploadPartBody(bool completed) {
  Json body = Base("success", kCreated);
  body["completed"] = completed;
  return Dump(body);
}

std::string CleanedBody(const CleanedView& result) {
  Json body = Base("success", kDeleted);
  body["result"] = {{"scanned", result.scanned},
                    {"corrupted", result.corrupted},
                    {"cleaned", result.cleaned},
                    {"errors", result.errors},
                    {"elapsed", result.elapsed_s}};
  return Dump(body);
}

Status WriteErrFiles(const StageReport& report, const BodySink& write) {
  std::string head = Dump(report.Withdrawn() ? Base("error", "conflict") : Base("success", kCreated));
  head.back() = ',';
  STAGEFS_RETURN_IF_ERROR(write(head + "\"err_files\":["));
  bool first = true;
  STAGEFS_RETURN_IF_ERROR(report.refused.ForEach([&](const RefusedEntry& entry) {
    const std::string item = Dump(ToJson(entry));
    const bool was_first = std::exchange(first, false);
    return write((was_first ? "" : ",") + item);
  }));
  return write("]}");
}

Result<std::string> ChangesBody(Workspace& workspace, const std::string& path, int64_t page,
                                int64_t page_size) {
  Page added(page, page_size), modified(page, page_size), removed(page, page_size);
  std::map<std::string, int64_t> folders;
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, workspace.repository().index().Read());
  const auto visit = [&](const StatusLine& line) -> Status {
    if (!IsAtOrBelow(line.path, path)) return {};
    Page* list = nullptr;
    if (line.kind == StatusLine::Kind::kAdded) list = &added;
    if (line.kind == StatusLine::Kind::kModified) list = &modified;
    if (line.kind == StatusLine::Kind::kRemoved) list = &removed;
    if (list == nullptr) return {};
    if (list != &removed) ++folders[ParentOf(line.path)];
    if (list->Wants()) {
      std::string hash;
      if (line.version != 0) {
        STAGEFS_ASSIGN_OR_RETURN(const auto version, reader->GetVersion(line.version));
        if (version) hash = ToHex(version->content.xxh3);
      }
      list->Add(FileEntry(line.path, line.path, hash, false, line.size_bytes));
    }
    list->Count();
    return {};
  };
  STAGEFS_RETURN_IF_ERROR(ForEachChange(workspace, visit));
  int64_t files = 0;
  Json paths = Json::object();
  for (const auto& [folder, count] : folders) {
    files += count;
    if (folder.empty()) continue;
    paths[ToDisplayUtf8(ParentOf(folder))].push_back({{"path", ToDisplayUtf8(folder)},
                                                      {"num_files_staged", count},
                                                      {"total_files", 0},
                                                      {"status", "Added"}});
  }
  Json body = Base("success", kFound);
  body["staged"] = {{"added_dirs", {{"num_files_staged", files}, {"total_files", 0}, {"paths", paths}}},
                    {"added_files", added.Finish()},
                    {"modified_files", modified.Finish()},
                    {"removed_files", removed.Finish()}};
  return Dump(body);
}

}  // namespace stagefs
