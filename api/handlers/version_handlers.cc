// Versions: uploaded whole, looked at, downloaded many at once, checked.
#include <chrono>

#include "archive_reply.h"
#include "form.h"
#include "handlers.h"
#include "stagefs/version_source.h"
#include "stagefs/upkeep.h"
#include "wire/media_type.h"
#include "wire/read_text.h"
#include "wire/reply.h"
#include "wire/version_bodies.h"
#include "wire/workspace_bodies.h"

namespace stagefs {
namespace {

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

}  // namespace

Reply PutVersions(Call& call) {
  if (!IsForm(call.request)) return BadRequest("send multipart/form-data");
  HashedParts parts(*call.repository);
  STAGEFS_RETURN_IF_ERROR(
      ReadParts(call, [&](const Part& part, ByteSource& bytes) { return parts.Take(part, bytes); }));
  STAGEFS_RETURN_IF_ERROR(parts.Store());
  if (parts.count() == 0) return BadRequest("no file: send file[] parts, each named by its hash");
  return JsonReply(200, ErrFilesBody(parts.refused()));
}

Reply GetVersionMetadata(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(
      const VersionInfo version,
      Try(call.repository->FindStored(call.names[2]))
          .On({ErrorCode::kNotFound, ErrorCode::kInvalidArgument}, [] { return NoSuchRoute(); }));
  return JsonReply(200, VersionMetadataBody(version));
}

Reply GetVersions(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(auto hashes, ReadHashes(call));
  std::vector<VersionInfo> versions;
  std::vector<std::string> missing;
  for (const std::string& hash : hashes) {
    const auto version = call.repository->FindVersion(hash);
    if (version) versions.push_back(*version);
    else missing.push_back(hash);
  }
  if (!missing.empty()) return Refusal(JsonReply(404, MissingVersionsBody(missing)));
  return ArchiveReply(ArchiveFormat::kTarGz,
                      [repository = call.repository, hashes = std::move(hashes), versions = std::move(versions),
                       at = size_t{0}]() mutable -> Result<std::optional<ArchiveEntry>> {
                        if (at == versions.size()) return std::optional<ArchiveEntry>();
                        ArchiveEntry entry{hashes[at], versions[at].stored_ns, false, nullptr};
                        STAGEFS_ASSIGN_OR_RETURN(entry.bytes, repository->OpenVersion(versions[at++]));
                        return std::optional(std::move(entry));
                      });
}

Reply CleanVersions(Call& call) {
  const auto begin = std::chrono::steady_clock::now();
  STAGEFS_ASSIGN_OR_RETURN(const FsckReport report, Fsck(*call.repository, nullptr));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t set_aside, SetAside(*call.repository, report.damaged));
  CleanedView view;
  view.scanned = report.checked;
  view.corrupted = static_cast<int64_t>(report.damaged.size());
  view.cleaned = report.set_aside + set_aside;
  view.errors = static_cast<int64_t>(report.missing.size());
  view.elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return JsonReply(200, CleanedBody(view));
}

}  // namespace stagefs
