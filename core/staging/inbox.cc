// Manifests as files: those of .stagefs/inbox and those dropped into the tree.
#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "stagefs/byte_source.h"
#include "stagefs/compression.h"
#include "stagefs/posix_env.h"
#include "inbox_queue.h"
#include "stagefs/inbox.h"
#include "stagefs/scratch_names.h"
#include "stagefs/version_store.h"
#include "workspace_change.h"

namespace stagefs {
namespace {

std::string Unhex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

// An index that cannot be read may call itself damaged; bytes that are damaged may be stored again.
bool MayBeAttemptedLater(const Error& error) {
  return MayPass(error.code()) || error.code() == ErrorCode::kCorrupt;
}

std::string QueuePrefix(WorkspaceId workspace) { return "queued/" + std::to_string(workspace) + '/'; }

Entry EntryOf(const VersionInfo& version) { return Entry::OfFile(version.id, version.size_bytes, NowNs()); }

InboxFile FileOf(const RepoPath& directory, const std::string& name, const Entry& entry) {
  return {directory.str(), name, entry.version, entry.size_bytes, entry.mtime_ns};
}

// What is appended at once, and is no more than this, is staged alone.
constexpr uint64_t kAppendedBytesMax = 4 << 20;
constexpr size_t kPathsMax = 4 << 20;

// Whole lines that mean the same wherever the file begins: with one end, and not compressed.
bool ArePlainLines(std::string_view text) {
  return !text.empty() && text.back() == '\n' && text.find('\r') == std::string_view::npos &&
         text.find('\0') == std::string_view::npos && CompressionOf(text) == Compression::kNone &&
         !text.starts_with("\xef\xbb\xbf");
}

// Hashes of the paths of such lines, sorted. An error: of a line that is none, or names no path.
Result<std::vector<uint64_t>> PathsOf(RewindableSource& lines) {
  std::vector<uint64_t> paths;
  STAGEFS_RETURN_IF_ERROR(ReadManifest(lines, ManifestFormat::kSum, {},
                                       [&](const ManifestOptions&, const ManifestEntry& entry) -> Status {
                                         STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(entry.path));
                                         paths.push_back(std::hash<std::string>()(path.str()));
                                         return {};
                                       })
                              .WithoutValue());
  std::sort(paths.begin(), paths.end());
  STAGEFS_RETURN_IF_ERROR(lines.Rewind());
  return paths;
}

bool StagedEachOnce(const StageReport& report) { return report.refused.size() == 0 && report.replaced.size() == 0; }

Result<Sha256> HashOfFirst(const VersionReader& bytes, uint64_t size_bytes) {
  ContentHasher hasher;
  std::string piece(std::min<uint64_t>(size_bytes, 1 << 20), '\0');
  for (uint64_t at = 0; at < size_bytes;) {
    const size_t wanted = std::min<uint64_t>(piece.size(), size_bytes - at);
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, bytes.ReadAt(piece.data(), wanted, at));
    if (got == 0) return Error(ErrorCode::kCorrupt, "the manifest is cut short");
    hasher.Update(piece.data(), got);
    at += got;
  }
  return hasher.Finish().sha256;
}

Result<std::string> ReadRest(const VersionReader& bytes, uint64_t from) {
  std::string rest(bytes.size_bytes() - from, '\0');
  for (size_t at = 0; at < rest.size();) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, bytes.ReadAt(rest.data() + at, rest.size() - at, from + at));
    if (got == 0) return Error(ErrorCode::kCorrupt, "the manifest is cut short");
    at += got;
  }
  return rest;
}

// Takes down what a manifest came to that was just staged.
void Remember(const StageReport& report, const VersionReader& bytes, const Sha256& hash, ManifestSoFar* so_far) {
  if (!StagedEachOnce(report) || bytes.size_bytes() > kAppendedBytesMax) return;
  const auto lines = ReadRest(bytes, 0);
  if (!lines || !ArePlainLines(*lines)) return;
  auto paths = PathsOf(*NewStringSource(*lines));
  if (!paths) return;
  *so_far = {true, bytes.size_bytes(), hash, report.entries, report.added, report.modified, report.unchanged,
             std::move(*paths)};
}

// Stages what came since. std::nullopt: all of it is to be staged, as for lines that are none it has to say which.
Result<std::optional<StageReport>> StageRest(Workspace& workspace, Workspace::ManifestRequest request,
                                             const VersionReader& bytes, const Sha256& hash,
                                             ManifestSoFar* so_far) {
  const uint64_t before = so_far->size_bytes;
  if (bytes.size_bytes() <= before || bytes.size_bytes() - before > kAppendedBytesMax) return std::nullopt;
  STAGEFS_ASSIGN_OR_RETURN(const Sha256 first, HashOfFirst(bytes, before));
  STAGEFS_ASSIGN_OR_RETURN(const std::string rest, ReadRest(bytes, before));
  if (first != so_far->sha256 || !ArePlainLines(rest)) return std::nullopt;
  const auto source = NewStringSource(rest);
  const auto paths = PathsOf(*source);
  if (!paths || std::adjacent_find(paths->begin(), paths->end()) != paths->end()) return std::nullopt;
  const bool known = std::any_of(paths->begin(), paths->end(), [&](uint64_t path) {
    return std::binary_search(so_far->paths.begin(), so_far->paths.end(), path);
  });
  if (known || so_far->paths.size() + paths->size() > kPathsMax) return std::nullopt;
  request.source = source.get();
  auto report = workspace.StageManifest(request);
  if (!report && report.error().code() == ErrorCode::kInterrupted) return report.error();
  if (!report || !StagedEachOnce(*report)) return std::nullopt;
  so_far->size_bytes = bytes.size_bytes();
  so_far->sha256 = hash;
  report->entries = so_far->entries += report->entries;
  report->added = so_far->added += report->added;
  report->modified = so_far->modified += report->modified;
  report->unchanged = so_far->unchanged += report->unchanged;
  const auto middle = static_cast<ptrdiff_t>(so_far->paths.size());
  so_far->paths.insert(so_far->paths.end(), paths->begin(), paths->end());
  std::inplace_merge(so_far->paths.begin(), so_far->paths.begin() + middle, so_far->paths.end());
  return std::optional(std::move(*report));
}

}  // namespace

std::string QueueKey(WorkspaceId workspace, const Slot& slot) {
  return QueuePrefix(workspace) + "tree/" + std::to_string(slot.folder) + '/' + HexOf(slot.name);
}

std::string QueueKey(WorkspaceId workspace, const RepoPath& directory, const std::string& name) {
  return QueuePrefix(workspace) + "inbox/" + HexOf(directory.str()) + '/' + HexOf(name);
}

Status Inbox::StageQueued() {
  STAGEFS_ASSIGN_OR_RETURN(auto reader, workspace_.repository().index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto keys, reader->ListMeta(QueuePrefix(workspace_.id())));
  reader.reset();
  Status outcome;
  for (const std::string& key : keys) {
    const std::string rest = key.substr(QueuePrefix(workspace_.id()).size());
    const size_t first = rest.find('/');
    const size_t second = rest.find('/', first + 1);
    const std::string where = rest.substr(first + 1, second - first - 1);
    const std::string name = Unhex(rest.substr(second + 1));
    Status staged;
    if (rest.starts_with("tree/")) {
      staged = StageDropped({std::strtoll(where.c_str(), nullptr, 10), name}, Trouble::kWaitedFor, nullptr);
    } else if (const auto directory = RepoPath::ParseDirectory(Unhex(where))) {
      staged = Stage(*directory, name, Trouble::kWaitedFor, nullptr);
    }
    // What is wrong with a manifest is in the report beside it; nobody waits for this one. Trouble of the moment, of
    // the manifest or of its report, is no outcome.
    if (staged || !MayBeAttemptedLater(staged.error())) {
      staged = workspace_.Mutate(Durability::kProcessDeath,
                                 [&](Overlay& overlay) { return overlay.transaction().EraseMeta(key); });
    }
    if (!staged) outcome = staged;
  }
  return outcome;
}

Result<Inbox::Processed> Inbox::StageStored(const RepoPath& directory, const std::string& name, VersionId manifest,
                                            Trouble trouble, ManifestSoFar* so_far) {
  VersionInfo content;
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, workspace_.repository().index().Read());
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> found, reader->GetVersion(manifest));
    if (!found) return Error(ErrorCode::kStale, "the manifest is gone");
    content = *found;
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto bytes, workspace_.repository().OpenVersion(content));
  const auto source = NewReaderSource(*bytes);
  Workspace::ManifestRequest request;
  request.source = source.get();
  request.format = ManifestFormatOf(name);
  request.directory = directory;
  request.options.atomic = IsAtomicName(name);
  Processed processed;
  const bool grows = so_far != nullptr && request.format == ManifestFormat::kSum && !request.options.atomic;
  if (grows && so_far->size_bytes > 0) {
    STAGEFS_ASSIGN_OR_RETURN(const auto report,
                             StageRest(workspace_, request, *bytes, content.content.sha256, so_far));
    if (report) {
      STAGEFS_ASSIGN_OR_RETURN(processed.report, workspace_.KeepReport(*report));
      return processed;
    }
  }
  const bool seen = so_far != nullptr && std::exchange(*so_far, {}).seen;
  const Result<StageReport> report = workspace_.StageManifest(request);
  if (report) {
    if (grows && seen) Remember(*report, *bytes, content.content.sha256, so_far);
    if (grows) so_far->seen = true;
    STAGEFS_ASSIGN_OR_RETURN(processed.report, workspace_.KeepReport(*report));
    return processed;
  }
  const bool is_outcome = trouble != Trouble::kWaitedFor || !MayBeAttemptedLater(report.error());
  if (!is_outcome || report.error().code() == ErrorCode::kInterrupted) return report.error();
  // Whoever dropped it in a file manager sees only "Invalid argument": the reason is in the report.
  processed.outcome = report.error();
  const nlohmann::json text = {{"directory", ToDisplayUtf8(directory.str())},
                               {"error", report.error().message()},
                               {"finished", FormatTime(NowNs())},
                               {"entries", 0}};
  STAGEFS_ASSIGN_OR_RETURN(
      processed.report,
      workspace_.repository().PutBytes(text.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n'));
  STAGEFS_RETURN_IF_ERROR(workspace_.NameReport(processed.report));
  return processed;
}

Result<Entry> Inbox::Store(const RepoPath& directory, const std::string& name, const std::string& file,
                           const ContentId& content, uint64_t size_bytes) {
  STAGEFS_RETURN_IF_ERROR(workspace_.repository().versions().Send(content.sha256, file));
  return workspace_.Mutate(Durability::kProcessDeath, [&](Overlay& overlay) -> Result<Entry> {
    STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version,
                             overlay.change().Take(file, content, size_bytes, /*synced=*/false));
    const Entry entry = EntryOf(version);
    STAGEFS_RETURN_IF_ERROR(overlay.transaction().PutInbox(workspace_.id(), FileOf(directory, name, entry)));
    return entry;
  });
}

Result<Entry> Inbox::Store(const RepoPath& directory, const std::string& name, VersionId version) {
  return workspace_.Mutate(Durability::kProcessDeath, [&](Overlay& overlay) -> Result<Entry> {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> info, overlay.index().GetVersion(version));
    if (!info) return Error(ErrorCode::kStale, "the version is gone");
    const Entry entry = EntryOf(*info);
    STAGEFS_RETURN_IF_ERROR(overlay.transaction().PutInbox(workspace_.id(), FileOf(directory, name, entry)));
    return entry;
  });
}

Status Inbox::Stage(const RepoPath& directory, const std::string& name, Trouble trouble, ManifestSoFar* so_far) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<InboxFile> file, LookUp(directory, name));
  if (!file) return Error(ErrorCode::kNotFound, "no manifest " + ToDisplayUtf8(name));
  STAGEFS_ASSIGN_OR_RETURN(const Processed processed, StageStored(directory, name, file->version, trouble, so_far));
  STAGEFS_RETURN_IF_ERROR(Store(directory, ResultNameOf(name), processed.report.id).WithoutValue());
  return processed.outcome;
}

Status Inbox::StageDropped(const Slot& slot, Trouble trouble, ManifestSoFar* so_far) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, workspace_.tree().LookUp(slot));
  if (!entry || entry->kind != EntryKind::kFile) {
    return Error(ErrorCode::kNotFound, "no manifest " + ToDisplayUtf8(slot.name));
  }
  STAGEFS_ASSIGN_OR_RETURN(const std::string path, workspace_.tree().PathOf(slot.folder));
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(path));
  STAGEFS_ASSIGN_OR_RETURN(const Processed processed,
                           StageStored(directory, slot.name, entry->version, trouble, so_far));
  StageHow how;
  how.origin = Origin::kWritten;  // The report is scratch by its name.
  how.mtime_ns = NowNs();
  STAGEFS_RETURN_IF_ERROR(
      workspace_.StageVersion({slot.folder, ResultNameOf(slot.name)}, processed.report.id, how).WithoutValue());
  return processed.outcome;
}

Status Inbox::Rename(const RepoPath& from, const std::string& name, const RepoPath& to,
                              const std::string& new_name) {
  return workspace_.Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Status {
    STAGEFS_ASSIGN_OR_RETURN(std::optional<InboxFile> file,
                             overlay.index().LookUpInbox(workspace_.id(), from.str(), name));
    if (!file) return Error(ErrorCode::kNotFound, "no manifest " + ToDisplayUtf8(name));
    STAGEFS_RETURN_IF_ERROR(overlay.transaction().EraseInbox(workspace_.id(), from.str(), name));
    file->directory = to.str();
    file->name = new_name;
    STAGEFS_RETURN_IF_ERROR(overlay.transaction().PutInbox(workspace_.id(), *file));
    if (!IsInboxManifestName(new_name)) return {};
    return overlay.transaction().PutMeta(QueueKey(workspace_.id(), to, new_name), "");
  });
}

Status Inbox::Remove(const RepoPath& directory, const std::string& name) {
  return workspace_.Mutate(Durability::kProcessDeath, [&](Overlay& overlay) -> Status {
    STAGEFS_ASSIGN_OR_RETURN(const auto file, overlay.index().LookUpInbox(workspace_.id(), directory.str(), name));
    if (!file) return Error(ErrorCode::kNotFound, "no manifest " + ToDisplayUtf8(name));
    return overlay.transaction().EraseInbox(workspace_.id(), directory.str(), name);
  });
}

Result<std::optional<InboxFile>> Inbox::LookUp(const RepoPath& directory, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, workspace_.repository().index().Read());
  return reader->LookUpInbox(workspace_.id(), directory.str(), name);
}

Result<std::vector<InboxFile>> Inbox::List(const RepoPath& directory) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, workspace_.repository().index().Read());
  return reader->ListInbox(workspace_.id(), directory.str());
}

}  // namespace stagefs
