#include "wire.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "http_status.h"
#include "stagefs/repo_path.h"

namespace stagefs {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json Base(std::string_view status, std::string_view message) {
  return {{"status", status}, {"status_message", message}, {"oxen_version", kOxenVersion}};
}

struct FileType {
  std::string_view extension, data_type, mime_type;
};
constexpr std::array<FileType, 16> kFileTypes = {{{"txt", "text", "text/plain"},
                                                  {"md", "text", "text/markdown"},
                                                  {"json", "text", "application/json"},
                                                  {"csv", "tabular", "text/csv"},
                                                  {"tsv", "tabular", "text/tab-separated-values"},
                                                  {"parquet", "tabular", "application/parquet"},
                                                  {"jsonl", "tabular", "application/jsonl"},
                                                  {"ndjson", "tabular", "application/ndjson"},
                                                  {"jpg", "image", "image/jpeg"},
                                                  {"jpeg", "image", "image/jpeg"},
                                                  {"png", "image", "image/png"},
                                                  {"gif", "image", "image/gif"},
                                                  {"webp", "image", "image/webp"},
                                                  {"mp4", "video", "video/mp4"},
                                                  {"mp3", "audio", "audio/mpeg"},
                                                  {"wav", "audio", "audio/wav"}}};

Json FileEntry(const StatusLine& line, const std::string& hash) {
  const size_t slash = line.path.rfind('/');
  const size_t dot = line.path.rfind('.');
  std::string extension;
  if (dot != std::string::npos && (slash == std::string::npos || dot > slash))
    extension = line.path.substr(dot + 1);
  FileType type{"", "binary", "application/octet-stream"};
  for (const FileType& known : kFileTypes) {
    if (known.extension == extension) type = known;
  }
  Json entry = {{"filename", ToDisplayUtf8(line.path)},
                {"hash", hash},
                {"is_dir", false},
                {"latest_commit", nullptr},
                {"resource", nullptr},
                {"size", line.size_bytes},
                {"data_type", type.data_type},
                {"mime_type", type.mime_type},
                {"extension", ToDisplayUtf8(extension)},
                {"metadata", nullptr},
                {"is_queryable", nullptr}};
  if (!IsValidUtf8(line.path)) entry["path_base64"] = Base64(line.path);
  return entry;
}

// One page of a list whose rest is only counted.
class Page {
 public:
  Page(int64_t number, int64_t size) : number_(number), size_(size) {}
  bool Wants() const { return total_ >= (number_ - 1) * size_ && total_ < number_ * size_; }
  void Add(Json entry) { entries_.push_back(std::move(entry)); }
  void Count() { ++total_; }
  Json ToJson() const {
    return {{"dir", nullptr},
            {"entries", entries_},
            {"resource", nullptr},
            {"metadata", nullptr},
            {"page_size", size_},
            {"page_number", number_},
            {"total_pages", std::max<int64_t>(1, (total_ + size_ - 1) / size_)},
            {"total_entries", total_}};
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

bool IsAtOrBelow(const std::string& path, const std::string& top) {
  return top.empty() || path == top || (path.starts_with(top) && path[top.size()] == '/');
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
  Json body = Base("success", "resource_found");
  if (minimum) body["version"] = kOxenMinVersion;
  return Dump(body);
}

std::string HealthBody(const VersionStore::Space& space) {
  constexpr double kGb = 1e9;
  const double total = static_cast<double>(space.blocks) * static_cast<double>(space.block_bytes) / kGb;
  const double free =
      static_cast<double>(space.blocks_available) * static_cast<double>(space.block_bytes) / kGb;
  Json body = Base("success", "resource_found");
  body["disk_usage"] = {{"total_gb", total},
                        {"used_gb", total - free},
                        {"free_gb", free},
                        {"percent_used", total > 0 ? (total - free) / total * 100 : 0.0}};
  return Dump(body);
}

Status WriteErrFiles(const StageReport& report, const BodySink& write) {
  std::string head =
      Dump(report.Withdrawn() ? Base("error", "conflict") : Base("success", "resource_created"));
  head.back() = ',';
  STAGEFS_RETURN_IF_ERROR(write(head + "\"err_files\":["));
  bool first = true;
  STAGEFS_RETURN_IF_ERROR(report.refused.ForEach([&](const RefusedEntry& entry) {
    const std::string item = Dump({{"hash", ToDisplayUtf8(entry.hash)},
                                   {"path", ToDisplayUtf8(entry.path)},
                                   {"error", ToDisplayUtf8(entry.reason)}});
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
      list->Add(FileEntry(line, hash));
    }
    list->Count();
    return {};
  };
  STAGEFS_RETURN_IF_ERROR(workspace.ForEachStatus([&](const StatusLine& line) -> Status {
    if (line.kind == StatusLine::Kind::kRenamed) return workspace.ExpandRename(line, visit);
    return visit(line);
  }));
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
  Json body = Base("success", "resource_found");
  body["staged"] = {{"added_dirs", {{"num_files_staged", files}, {"total_files", 0}, {"paths", paths}}},
                    {"added_files", added.ToJson()},
                    {"modified_files", modified.ToJson()},
                    {"removed_files", removed.ToJson()}};
  return Dump(body);
}

}  // namespace stagefs
