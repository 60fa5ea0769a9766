// Files of a workspace: staged by hash or by upload, read, moved, removed.
#include "wire/file_type.h"
#include "handlers.h"
#include "server/multipart.h"
#include "stagefs/posix_env.h"
#include "stagefs/version_source.h"

namespace stagefs {
namespace {

// Longer answers go through a file instead of memory.
constexpr size_t kBodyInMemoryMax = 1 << 20;

// A body of any length.
class SpillingBody {
 public:
  explicit SpillingBody(std::string folder) : folder_(std::move(folder)) {}

  Status Write(std::string_view text) {
    memory_ += text;
    if (memory_.size() < kBodyInMemoryMax) return {};
    if (!spill_.valid()) {
      STAGEFS_ASSIGN_OR_RETURN(spill_, OpenUnnamed(folder_));
    }
    return Flush();
  }

  HttpResponse Finish(unsigned status) {
    if (!spill_.valid()) return JsonReply(status, std::move(memory_));
    if (const Status flushed = Flush(); !flushed) return ErrorReply(flushed.error());
    HttpResponse response = FileReply(spill_.get(), 0, written_, "application/json");
    if (response.fd >= 0) response.status = status;
    return response;
  }

 private:
  Status Flush() {
    STAGEFS_RETURN_IF_ERROR(WriteAll(spill_.get(), memory_.data(), memory_.size()));
    written_ += memory_.size();
    memory_.clear();
    return {};
  }

  const std::string folder_;
  std::string memory_;
  UniqueFd spill_;
  uint64_t written_ = 0;
};

HttpResponse NoResource(const std::string& path) {
  return NotFoundReply("Resource not found", "Could not find path: " + path);
}

Result<RepoPath> StagingPath(const RepoPath& directory, const std::string& filename) {
  auto name = RepoPath::Parse(filename);
  if (name) name = directory.Join(*name);
  if (name) return name;
  return Error(ErrorCode::kInvalidArgument, "Invalid staging path (directory \"" + directory.str() +
                                                "\", file \"" + filename + "\"): " + name.error().message());
}

}  // namespace

std::optional<HttpResponse> CheckBatch(const Call& call) {
  const std::string type = MediaType(call.request);
  if (type.starts_with("multipart/")) return std::nullopt;
  if (!IsJson(type)) return BadRequest("Content type error: send application/json");
  bool bad = false;
  (void)QueryBool(call.target, "update_timestamp", &bad);
  (void)QueryBool(call.target, "atomic", &bad);
  if (!bad) return std::nullopt;
  return BadRequest("Query deserialize error: update_timestamp and atomic are `true` or `false`");
}

HttpResponse StageBatch(Call& call) {
  if (MediaType(call.request).starts_with("multipart/")) {
    // An upload into a folder that happens to be called `batch`.
    call.rest = call.rest.empty() ? "batch" : "batch/" + call.rest;
    return StageUpload(call);
  }
  if (!IsValidUtf8(call.rest)) return BadRequest("the directory is not UTF-8");
  const auto directory = RepoPath::ParseDirectory(call.rest);
  if (!directory) return BadRequest(directory.error().message());
  bool bad = false;
  Workspace::ManifestRequest manifest;
  manifest.source = call.request.body;
  manifest.format = ManifestFormat::kJson;
  manifest.directory = *directory;
  manifest.options.update_timestamp = QueryBool(call.target, "update_timestamp", &bad).value_or(false);
  manifest.options.atomic = QueryBool(call.target, "atomic", &bad).value_or(false);
  const auto report = call.workspace->StageManifest(manifest);
  if (!report && report.error().code() == ErrorCode::kInvalidArgument) {
    return BadRequest("Json deserialize error: " + report.error().message());
  }
  if (!report) return ErrorReply(report.error());
  SpillingBody body(call.repository->incoming());
  const Status written = WriteErrFiles(*report, [&](std::string_view text) { return body.Write(text); });
  return written ? body.Finish(report->Withdrawn() ? 422 : 200) : ErrorReply(written.error());
}

HttpResponse StageUpload(Call& call) {
  if (!MediaType(call.request).starts_with("multipart/")) {
    return JsonReply(415,
                     ErrorBody(415, "bad_request", "Unsupported Media Type", "send multipart/form-data"));
  }
  const auto directory = RepoPath::ParseDirectory(call.rest);
  if (!directory) return BadRequest(directory.error().message());
  const auto form = ReadForm(call);
  if (!form) return ErrorReply(form.error());
  if (form->files.empty()) return BadRequest("no file: send file[] parts, each with a filename");
  StageHow how;
  const auto forced = form->fields.find("update_timestamp");
  how.update_timestamp = forced != form->fields.end() && (forced->second == "true" || forced->second == "1");
  std::vector<Workspace::NamedVersion> files;
  for (const Form::File& file : form->files) {
    auto path = StagingPath(*directory, file.filename);
    if (!path) return BadRequest(path.error().message());
    files.push_back({std::move(*path), file.version.id});
  }
  const auto outcomes = call.workspace->StageVersions(files, how);
  if (!outcomes) return ErrorReply(outcomes.error());
  std::vector<std::string> paths;
  std::vector<RefusedEntry> refused;
  for (size_t i = 0; i < files.size(); ++i) {
    const Status& outcome = (*outcomes)[i];
    if (outcome) paths.push_back(files[i].path.str());
    else
      refused.push_back(
          {ToHex(form->files[i].version.content.xxh3), files[i].path.str(), outcome.error().message()});
  }
  if (paths.empty() && !refused.empty()) return ErrorReply((*outcomes)[0].error().In(refused[0].path));
  return JsonReply(200, StagedPathsBody(paths, refused));
}

HttpResponse GetWorkspaceFile(Call& call) {
  for (const char* derived : {"width", "height", "thumbnail"}) {
    if (call.target.query.contains(derived)) return NotServed(call);
  }
  const auto path = RepoPath::Parse(call.rest);
  if (!path) return BadRequest(path.error().message());
  const auto info = call.workspace->Info();
  if (!info) return ErrorReply(info.error());
  const auto reader = call.repository->index().Read();
  if (!reader) return ErrorReply(reader.error());
  const auto base = (*reader)->GetCommit(info->base);
  if (!base || !*base)
    return ErrorReply(Error(ErrorCode::kCorrupt, "the base commit of a workspace is gone"));
  const auto tree = RevisionTree::Open(*call.repository, {info->uid, **base, std::nullopt, *info});
  if (!tree) return ErrorReply(tree.error());
  const auto at = (*tree)->Find(*path);
  if (!at || at->entry.kind != EntryKind::kFile) {
    const bool missing =
        at || at.error().code() == ErrorCode::kNotFound || at.error().code() == ErrorCode::kNotDirectory;
    return missing ? NoResource(call.rest) : ErrorReply(at.error());
  }
  const auto version = (*tree)->VersionOf(at->entry);
  if (!version) return ErrorReply(version.error());
  const auto bytes = (*tree)->OpenVersion(*version);
  if (!bytes) return ErrorReply(bytes.error());
  return BytesReply(call.request, *version, **bytes, FileTypeOf(path->str()).mime_type);
}

HttpResponse MoveWorkspaceFile(Call& call) {
  const auto from = RepoPath::Parse(call.rest);
  if (!from) return BadRequest(from.error().message());
  std::optional<WireObject> wanted;
  RepoPath to;
  if (auto refused = ReadMove(call, &wanted, &to)) return std::move(*refused);
  const Status moved = call.workspace->MovePath(*from, to);
  if (moved) return StatusReply(kUpdated);
  switch (moved.error().code()) {
    case ErrorCode::kExists: return BadStatus(400, "new_path already exists in the repository");
    case ErrorCode::kNotFound: return NoResource(call.rest);
    default: return ErrorReply(moved.error());
  }
}

HttpResponse RemoveFiles(Call& call) {
  std::vector<std::string> paths;
  if (auto refused = ReadPaths(call, &paths)) return std::move(*refused);
  std::vector<std::string> failed;
  for (const std::string& raw : paths) {
    const auto path = RepoPath::Parse(raw);
    const Status removed = path ? call.workspace->RemovePath(*path) : Status(path.error());
    if (removed) continue;
    if (removed.error().code() == ErrorCode::kIo || removed.error().code() == ErrorCode::kNoSpace) {
      return ErrorReply(removed.error());
    }
    failed.push_back(raw);
  }
  if (failed.empty()) return JsonReply(200, PathsBody("success", kDeleted, {}));
  return JsonReply(206, PathsBody("error", "resource_not_found", failed));
}

}  // namespace stagefs
