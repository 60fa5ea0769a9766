// Versions: uploaded whole or in pieces, looked at, downloaded many at once, checked.
#include <charconv>
#include <chrono>

#include "wire/archive.h"
#include "handlers.h"
#include "server/multipart.h"
#include "stagefs/byte_source.h"
#include "stagefs/posix_env.h"
#include "stagefs/uploads.h"
#include "stagefs/upkeep.h"
#include "stagefs/version_source.h"

namespace stagefs {
namespace {

constexpr uint64_t kPartBytes = 10 << 20;
constexpr unsigned kPartWindow = 4;
constexpr size_t kHashesMax = 100'000;

// Takes uploaded parts, each named by the hash of its bytes, into the store.
class HashedParts {
 public:
  explicit HashedParts(Repository& repository) : repository_(repository) {}

  Status Take(const Part& part, ByteSource& bytes) {
    if (part.filename.empty()) return {};  // A field, not a file.
    ++count_;
    const Status kept = Keep(part, bytes);
    if (kept || kept.error().code() != ErrorCode::kInvalidArgument) return kept;
    refused_.push_back({part.filename, "", "Failed to store version: " + kept.error().message()});
    return {};
  }

  Status Store() {
    if (group_.empty()) return {};
    STAGEFS_RETURN_IF_ERROR(repository_.Adopt(std::move(group_)).WithoutValue());
    group_.clear();
    return {};
  }

  const std::vector<RefusedEntry>& refused() const { return refused_; }
  int64_t count() const { return count_; }

 private:
  Status Keep(const Part& part, ByteSource& bytes) {
    STAGEFS_ASSIGN_OR_RETURN(const HashRef claimed, HashRef::Parse(part.filename));
    STAGEFS_ASSIGN_OR_RETURN(IncomingFile file, repository_.NewIncoming());
    STAGEFS_RETURN_IF_ERROR(file.WriteFrom(bytes));
    file.Close();
    if (!claimed.Names(file.Finish())) {
      return Error(ErrorCode::kInvalidArgument, "the bytes do not hash to " + claimed.ToString());
    }
    group_.push_back(std::move(file));
    return group_.size() < kGroupFilesMax ? Status() : Store();
  }

  Repository& repository_;
  int64_t count_ = 0;
  std::vector<IncomingFile> group_;
  std::vector<RefusedEntry> refused_;
};

Result<std::vector<std::string>> ReadHashes(const Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, ReadMaybeGzip(*call.request.body, kJsonBytesMax));
  std::vector<std::string> hashes;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) hashes.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (hashes.empty()) return Error(ErrorCode::kInvalidArgument, "send hashes, one a line");
  if (hashes.size() > kHashesMax) {
    return Error(ErrorCode::kTooLarge, "more than " + std::to_string(kHashesMax) + " hashes");
  }
  return hashes;
}

// Stages a complete upload where its plan says.
std::optional<HttpResponse> StageAt(Call& call, const std::string& workspace_id, const std::string& raw_path,
                                    VersionId version, bool update_timestamp) {
  const auto path = RepoPath::Parse(raw_path);
  if (!path) return BadRequest(path.error().message());
  const auto workspace = Workspace::Open(*call.repository, workspace_id);
  if (!workspace) return ErrorReply(workspace.error());
  StageHow how;
  how.update_timestamp = update_timestamp;
  const auto outcomes = (*workspace)->StageVersions({{*path, version}}, how);
  if (!outcomes) return ErrorReply(outcomes.error());
  if (const Status& outcome = outcomes->front(); !outcome) return ErrorReply(outcome.error());
  return std::nullopt;
}

// The file of a `complete` request.
struct WantedFile {
  HashRef hash;
  std::string path;
  uint64_t chunks = 0;
  std::optional<std::string> workspace;
};

Result<WantedFile> ReadWantedFile(const WireObject& body) {
  STAGEFS_ASSIGN_OR_RETURN(const auto files, body.Objects("files"));
  STAGEFS_ASSIGN_OR_RETURN(const std::string hash, files[0].Text("hash"));
  STAGEFS_ASSIGN_OR_RETURN(const std::string name, files[0].Text("file_name"));
  STAGEFS_ASSIGN_OR_RETURN(const auto directory, files[0].OptionalText("dst_dir"));
  STAGEFS_ASSIGN_OR_RETURN(const auto chunks, files[0].OptionalNumber("num_chunks"));
  STAGEFS_ASSIGN_OR_RETURN(auto workspace, body.OptionalText("workspace_id"));
  STAGEFS_ASSIGN_OR_RETURN(const HashRef ref, HashRef::Parse(hash));
  return WantedFile{ref, JoinPath(directory.value_or(""), name), chunks.value_or(0), std::move(workspace)};
}

}  // namespace

HttpResponse PutVersions(Call& call) {
  if (!MediaType(call.request).starts_with("multipart/")) return BadRequest("send multipart/form-data");
  HashedParts parts(*call.repository);
  Status taken = ReadMultipart(*call.request.body, call.request.Header("content-type"), call.body_bytes_max,
                               [&](const Part& part, ByteSource& bytes) { return parts.Take(part, bytes); });
  if (taken) taken = parts.Store();
  if (taken && parts.count() == 0) return BadRequest("no file: send file[] parts, each named by its hash");
  return taken ? JsonReply(200, ErrFilesBody(parts.refused())) : ErrorReply(taken.error());
}

HttpResponse GetVersionMetadata(Call& call) {
  const auto version = call.repository->FindVersion(call.names[2]);
  if (version) return JsonReply(200, VersionMetadataBody(*version));
  const bool missing =
      version.error().code() == ErrorCode::kNotFound || version.error().code() == ErrorCode::kInvalidArgument;
  return missing ? NoSuchRoute() : ErrorReply(version.error());
}

HttpResponse GetVersions(Call& call) {
  const auto hashes = ReadHashes(call);
  if (!hashes) return ErrorReply(hashes.error());
  std::vector<VersionInfo> versions;
  std::vector<std::string> missing;
  for (const std::string& hash : *hashes) {
    const auto version = call.repository->FindVersion(hash);
    if (version) versions.push_back(*version);
    else missing.push_back(hash);
  }
  if (!missing.empty()) return JsonReply(404, MissingVersionsBody(missing));
  const auto fd = OpenUnnamed(call.repository->incoming());
  if (!fd) return ErrorReply(fd.error());
  const auto archive = ArchiveWriter::Open(fd->get(), ArchiveFormat::kTarGz);
  if (!archive) return ErrorReply(archive.error());
  Status written;
  for (size_t i = 0; written && i < versions.size(); ++i) {
    const auto bytes = call.repository->OpenVersion(versions[i]);
    written = bytes ? (*archive)->Add((*hashes)[i], versions[i].stored_ns, **bytes) : Status(bytes.error());
  }
  if (written) written = (*archive)->Finish();
  const auto size = written ? FileSize(fd->get()) : Result<uint64_t>(written.error());
  return size ? FileReply(fd->get(), 0, *size, "application/gzip") : ErrorReply(size.error());
}

HttpResponse CleanVersions(Call& call) {
  const auto begin = std::chrono::steady_clock::now();
  const auto report = Fsck(*call.repository, nullptr);
  if (!report) return ErrorReply(report.error());
  const Status aside = SetAside(*call.repository, report->damaged);
  if (!aside) return ErrorReply(aside.error());
  CleanedView view;
  view.scanned = report->checked;
  view.corrupted = view.cleaned = static_cast<int64_t>(report->damaged.size());
  view.errors = static_cast<int64_t>(report->missing.size());
  view.elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return JsonReply(200, CleanedBody(view));
}

HttpResponse CreateUpload(Call& call) {
  const auto hash = HashRef::Parse(call.names[2]);
  return hash ? StatusReply(kFound) : BadRequest(hash.error().message());
}

HttpResponse PutChunk(Call& call) {
  const auto hash = HashRef::Parse(call.names[2]);
  if (!hash) return BadRequest(hash.error().message());
  bool bad = !call.target.query.contains("offset");
  const int64_t offset = QueryInt(call.target, "offset", 0, &bad);
  if (bad || static_cast<uint64_t>(offset) > kUploadBytesMax) {
    return BadRequest("offset is a whole number from 0 to " + std::to_string(kUploadBytesMax));
  }
  const Status kept = Uploads(*call.repository)
                          .PutPiece(Uploads::KeyOf(*hash), static_cast<uint64_t>(offset), *call.request.body,
                                    /*begin=*/true);
  return kept ? StatusReply(kCreated) : ErrorReply(kept.error());
}

HttpResponse CompleteUpload(Call& call) {
  const auto text = call.Text();
  if (!text) return ErrorReply(text.error());
  const auto body = WireObject::Parse(*text);
  const auto files = body ? body->Objects("files") : Result<std::vector<WireObject>>(body.error());
  if (!files) return BadStatus(400, "Invalid request body");
  if (files->size() != 1) return BadStatus(400, "Expected a single file in the request");
  const auto wanted = ReadWantedFile(*body);
  if (!wanted) return BadStatus(400, "Invalid request body");
  const auto named = HashRef::Parse(call.names[2]);
  if (!named || named->ToString() != wanted->hash.ToString())
    return BadRequest("the path and the body name two versions");
  if (wanted->workspace && !Workspace::Open(*call.repository, *wanted->workspace)) {
    return BadStatus(404, "Workspace not found: " + *wanted->workspace);
  }
  // A client that did not get the answer asks again.
  auto version = call.repository->FindVersion(call.names[2]);
  Uploads uploads(*call.repository);
  const std::string key = Uploads::KeyOf(wanted->hash);
  if (!version) {
    if (wanted->chunks == 0) return BadRequest("Missing both num_chunks and upload_results in request");
    const auto pieces = uploads.Pieces(key);
    if (!pieces && pieces.error().code() != ErrorCode::kNotFound) return ErrorReply(pieces.error());
    const size_t have = pieces ? pieces->size() : 0;
    if (have != wanted->chunks) {
      return BadStatus(400, "Number of chunks does not match expected number of chunks: " +
                                std::to_string(have) + " != " + std::to_string(wanted->chunks));
    }
    version = uploads.Complete(key, wanted->hash);
  }
  if (!version) return ErrorReply(version.error());
  if (wanted->workspace) {
    if (auto refused =
            StageAt(call, *wanted->workspace, wanted->path, version->id, body->Flag("update_timestamp"))) {
      return std::move(*refused);
    }
  }
  return StatusReply(kFound);
}

HttpResponse BeginUpload(Call& call) {
  const auto text = call.Text();
  if (!text) return ErrorReply(text.error());
  const auto body = WireObject::Parse(*text);
  if (!body) return BadRequest(body.error().message());
  const auto hash = body->Text("hash");
  if (!hash) return BadRequest(hash.error().message());
  const auto ref = HashRef::Parse(*hash);
  if (!ref) return BadRequest(ref.error().message());
  const auto size = body->OptionalNumber("size");
  if (!size || !*size) return BadRequest("`size` is a whole number from 0");
  const auto destination = body->OptionalObject("destination");
  if (!destination) return BadRequest(destination.error().message());
  UploadPlan plan{*hash, **size, kPartBytes, "", ""};
  if (*destination) {
    const auto workspace = (*destination)->Text("workspace_id");
    const auto path = workspace ? (*destination)->Text("path") : workspace;
    if (!path) return BadRequest(path.error().message());
    if (const auto parsed = RepoPath::Parse(*path); !parsed) return BadRequest(parsed.error().message());
    if (const auto open = Workspace::Open(*call.repository, *workspace); !open)
      return ErrorReply(open.error());
    plan.workspace = *workspace;
    plan.path = *path;
  }
  if (const auto version = call.repository->FindVersion(*hash)) {
    if (!plan.workspace.empty()) {
      if (auto refused = StageAt(call, plan.workspace, plan.path, version->id, false))
        return std::move(*refused);
    }
    return JsonReply(200, UploadStoredBody());
  }
  if (plan.size_bytes == 0) return BadRequest("no version of 0 bytes has this hash");
  const auto key = Uploads(*call.repository).Begin(plan);
  if (!key) return ErrorReply(key.error());
  return JsonReply(200, UploadBegunBody(*key, kPartBytes, plan.pieces(), kPartWindow));
}

HttpResponse PutPart(Call& call) {
  Uploads uploads(*call.repository);
  const std::string& key = call.names[2];
  const auto plan = uploads.PlanOf(key);
  if (!plan) return ErrorReply(plan.error());
  uint64_t number = 0;
  const std::string& text = call.names[3];
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number < 1 ||
      number > plan->pieces()) {
    return BadRequest("parts are numbered from 1 to " + std::to_string(plan->pieces()));
  }
  const uint64_t offset = (number - 1) * plan->piece_bytes;
  const uint64_t expected = std::min(plan->piece_bytes, plan->size_bytes - offset);
  if (call.request.body_bytes != expected) {
    return BadRequest("part " + text + " has " + std::to_string(expected) + " bytes");
  }
  const Status kept = uploads.PutPiece(key, offset, *call.request.body, /*begin=*/false);
  if (!kept) return ErrorReply(kept.error());
  const auto pieces = uploads.Pieces(key);
  if (pieces && pieces->size() < plan->pieces()) return JsonReply(200, UploadPartBody(false));
  const auto claimed = HashRef::Parse(plan->hash);
  if (!claimed) return ErrorReply(claimed.error());
  auto version = uploads.Complete(key, *claimed);
  if (!version && version.error().code() == ErrorCode::kNotFound) {
    version = call.repository->FindVersion(plan->hash);  // Another part completed it.
  }
  if (!version) return ErrorReply(version.error());
  if (!plan->workspace.empty()) {
    if (auto refused = StageAt(call, plan->workspace, plan->path, version->id, false))
      return std::move(*refused);
  }
  return JsonReply(200, UploadPartBody(true));
}

}  // namespace stagefs
