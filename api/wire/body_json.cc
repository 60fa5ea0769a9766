#include "body_json.h"

#include "file_type.h"
#include "status_bodies.h"
#include "stagefs/text.h"

namespace stagefs::wire {
namespace {

std::string NameOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

}  // namespace

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

Json ToJson(const TagView& tag) {
  return {{"name", tag.info.name},
          {"commit_id", tag.commit_id},
          {"message", ToDisplayUtf8(tag.info.message)},
          {"author", ToDisplayUtf8(tag.info.author)},
          {"email", ToDisplayUtf8(tag.info.email)},
          {"timestamp", FormatTime(tag.info.time_ns)}};
}

Json ToJson(const WorkspaceView& workspace) {
  Json json = {{"id", workspace.info.uid},
               {"name", nullptr},
               {"commit", ToJson(workspace.commit)},
               {"created_at", FormatTime(workspace.info.created_ns)}};
  if (workspace.info.name) json["name"] = *workspace.info.name;
  return json;
}

void AddExactPath(Json& json, const std::string& path) {
  if (!IsValidUtf8(path)) json["path_base64"] = Base64(path);
}

Json PathJson(const std::string& path) {
  Json json = {{"path", ToDisplayUtf8(path)}};
  AddExactPath(json, path);
  return json;
}

Json ToJson(const RefusedEntry& entry) {
  // An upload that is refused has no path.
  Json json = {{"hash", ToDisplayUtf8(entry.hash)},
               {"path", entry.path.empty() ? Json(nullptr) : Json(ToDisplayUtf8(entry.path))},
               {"error", ToDisplayUtf8(entry.reason)}};
  AddExactPath(json, entry.path);
  return json;
}

Json DisplayList(const std::vector<std::string>& texts) {
  Json list = Json::array();
  for (const std::string& text : texts) list.push_back(ToDisplayUtf8(text));
  return list;
}

Json ResourceOf(const RevisionView& revision, const std::string& path) {
  const std::string shown = ToDisplayUtf8(path);
  Json json = {{"commit", ToJson(revision.commit)},
               {"branch", OrNull(revision.branch)},
               {"workspace", OrNull(revision.workspace)},
               {"path", shown},
               {"version", revision.name},
               {"resource", shown.empty() ? revision.name : revision.name + '/' + shown}};
  AddExactPath(json, path);
  return json;
}

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
  AddExactPath(entry, path);
  return entry;
}

Json ToJson(const EntryView& entry, const RevisionView& revision) {
  Json json = FileEntry(entry.path, NameOf(entry.path), entry.hash, entry.folder, entry.size_bytes);
  json["latest_commit"] = OrNull(entry.latest);
  json["resource"] = ResourceOf(revision, entry.path);
  if (!entry.change.empty()) json["changes"] = {{"status", entry.change}};
  return json;
}

void AddPage(Json& json, const PageView& page) {
  json["page_size"] = page.size;
  json["page_number"] = page.number;
  json["total_pages"] = page.pages();
  json["total_entries"] = page.total_entries;
}

Json DataTypes(const std::map<std::string, int64_t>& counts) {
  Json list = Json::array();
  for (const auto& [type, count] : counts) list.push_back({{"data_type", type}, {"count", count}});
  return list;
}

}  // namespace stagefs::wire
