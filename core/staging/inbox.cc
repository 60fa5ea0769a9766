// Manifests as files: those of .stagefs/inbox and those dropped into the tree.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "stagefs/byte_source.h"
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
      staged = StageDropped({std::strtoll(where.c_str(), nullptr, 10), name}, Trouble::kWaitedFor);
    } else if (const auto directory = RepoPath::ParseDirectory(Unhex(where))) {
      staged = Stage(*directory, name, Trouble::kWaitedFor);
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
                                            Trouble trouble) {
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
  const Result<StageReport> report = workspace_.StageManifest(request);
  Processed processed;
  if (report) {
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

Status Inbox::Stage(const RepoPath& directory, const std::string& name, Trouble trouble) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<InboxFile> file, LookUp(directory, name));
  if (!file) return Error(ErrorCode::kNotFound, "no manifest " + ToDisplayUtf8(name));
  STAGEFS_ASSIGN_OR_RETURN(const Processed processed, StageStored(directory, name, file->version, trouble));
  STAGEFS_RETURN_IF_ERROR(Store(directory, ResultNameOf(name), processed.report.id).WithoutValue());
  return processed.outcome;
}

Status Inbox::StageDropped(const Slot& slot, Trouble trouble) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, workspace_.tree().LookUp(slot));
  if (!entry || entry->kind != EntryKind::kFile) {
    return Error(ErrorCode::kNotFound, "no manifest " + ToDisplayUtf8(slot.name));
  }
  STAGEFS_ASSIGN_OR_RETURN(const std::string path, workspace_.tree().PathOf(slot.folder));
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(path));
  STAGEFS_ASSIGN_OR_RETURN(const Processed processed, StageStored(directory, slot.name, entry->version, trouble));
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
