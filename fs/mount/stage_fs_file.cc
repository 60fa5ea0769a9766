// Files: open, read, write, flush, release.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "stage_fs.h"
#include "stagefs/posix_env.h"
#include "stagefs/inbox.h"
#include "stagefs/scratch_names.h"

namespace stagefs {
namespace {

bool IsManifest(const Node& node, const std::string& name) {
  return IsInboxManifestName(name) && (node.kind == NodeKind::kInboxFile || IsStageManifestName(name));
}

bool Writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

}  // namespace

Result<WorkingCopyPlace> StageFs::PlaceOf(const Node& node) {
  WorkingCopyPlace place;
  place.workspace = workspace_->id();
  {
    auto table = table_.Lock();
    place.slot = node.slot;
  }
  if (node.kind == NodeKind::kInboxFile) {
    place.path = std::string(kControlFolder) + "/inbox/" + JoinPath(node.extra().path, place.slot.name);
    return place;
  }
  STAGEFS_ASSIGN_OR_RETURN(const std::string folder, workspace_->tree().PathOf(place.slot.folder));
  place.path = JoinPath(folder, place.slot.name);
  return place;
}

Placer StageFs::PlacerOf(const std::shared_ptr<Node>& node) {
  return [this, node] { return PlaceOf(*node); };
}

// REQUIRES: the file's mutex is held.
Status StageFs::StageNode(const std::shared_ptr<Node>& node, OpenFile& file) {
  Slot slot;
  {
    auto table = table_.Lock();
    slot = node->slot;
  }
  const std::string& name = slot.name;
  const bool inbox = node->kind == NodeKind::kInboxFile;
  const Status staged = file.Stage(
      [&](const std::string& path, const ContentId& content, uint64_t size_bytes,
          const StageHow& how) -> Result<Entry> {
        if (inbox) {
          STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(node->extra().path));
          return Inbox(*behind_).Store(directory, name, path, content, size_bytes);
        }
        STAGEFS_ASSIGN_OR_RETURN(const StagedFile done,
                                 workspace_->StageFile(slot, path, content, size_bytes, how));
        return done.entry;
      },
      [&](VersionId version, const StageHow& how) -> Result<Entry> {
        if (inbox) {
          STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(node->extra().path));
          return Inbox(*behind_).Store(directory, name, version);
        }
        STAGEFS_ASSIGN_OR_RETURN(const StagedFile done, workspace_->StageVersion(slot, version, how));
        cloned_.fetch_add(1, std::memory_order_relaxed);
        return done.entry;
      },
      PlacerOf(node));
  if (!staged) return staged;
  staged_.fetch_add(1, std::memory_order_relaxed);
  {
    auto table = table_.Lock();
    node->SetEntry(file.entry());
  }
  return {};
}

// A manifest that was just written: staged without its file's lock, so that others can look at it meanwhile.
Status StageFs::StageManifestOf(const Node& node) {
  Slot slot;
  std::string path;
  {
    auto table = table_.Lock();
    if (!node.attached) return {};
    slot = node.slot;
    path = node.extra().path;
  }
  if (node.kind != NodeKind::kInboxFile) return Inbox(*behind_).StageDropped(slot);
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(path));
  return Inbox(*behind_).Stage(directory, slot.name);
}

bool StageFs::IsManifestNode(const Node& node) {
  auto table = table_.Lock();
  return IsManifest(node, node.slot.name);
}

// The file of `node`, open once more. With `empty` it is emptied, as O_TRUNC does.
Result<std::shared_ptr<OpenFile>> StageFs::OpenNode(const std::shared_ptr<Node>& node, bool writes,
                                                    bool empty) {
  std::shared_ptr<OpenFile> file;
  {
    auto table = table_.Lock();
    if (!node->open()) {
      const OpenFileEnv env{repository_, *workspace_, *copies_};
      table->SetOpen(node, std::make_shared<OpenFile>(env, node->entry()));
      if (!node->attached && node->kind == NodeKind::kFile) node->open()->Detach();
    }
    file = node->open();
    ++file->handles;
  }
  std::lock_guard lock(file->mutex());
  file->writers += writes;
  if (empty) STAGEFS_RETURN_IF_ERROR(file->Empty());
  return file;
}

Result<StageFs::Created> StageFs::CreateFile(NodeId parent, const std::string& name, mode_t mode) {
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, Get(parent));
  std::shared_ptr<Node> node;
  if (folder->kind == NodeKind::kInboxFolder) {
    STAGEFS_RETURN_IF_ERROR(CheckEntryName(name));
    auto table = table_.Lock();
    node = table->FindOrAddControl("i:" + folder->extra().path + '\0' + name, NodeKind::kInboxFile);
    node->MakeExtra().path = folder->extra().path;
    node->slot = {0, name};
    node->attached = true;
  } else {
    STAGEFS_RETURN_IF_ERROR(GetFolder(parent).WithoutValue());
    STAGEFS_RETURN_IF_ERROR(CheckNewName(*folder, name));
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> existing, workspace_->tree().LookUp({folder->folder(), name}));
    if (existing) return Error(ErrorCode::kExists, name);
    auto table = table_.Lock();
    node = table->Add(NodeKind::kFile);
    node->SetEntry(Entry::OfFile(0, 0, 0));
    table->Attach(node, {folder->folder(), name});
    folder->MakeExtra().absent.erase(name);
    folder->MakeExtra().touched_ns = NowNs();
  }
  {
    auto table = table_.Lock();
    ++node->lookups;
    if (!node->open()) {
      const OpenFileEnv env{repository_, *workspace_, *copies_};
      table->SetOpen(node, std::make_shared<OpenFile>(env, std::nullopt));
    }
  }
  STAGEFS_ASSIGN_OR_RETURN(auto file, OpenNode(node, /*writes=*/true, /*empty=*/false));
  {
    std::lock_guard lock(file->mutex());
    file->SetExecutable((mode & 0111) != 0);
  }
  Created created;
  created.handle = std::make_unique<Handle>();
  created.handle->node = node;
  created.handle->file = std::move(file);
  created.handle->writes = true;
  created.found.attributes = AttributesNow(node);
  created.found.cacheable = node->kind == NodeKind::kFile;
  return created;
}

Result<std::unique_ptr<Handle>> StageFs::Open(NodeId id, int flags) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, Get(id));
  auto handle = std::make_unique<Handle>();
  handle->node = node;
  switch (node->kind) {
    case NodeKind::kFile: STAGEFS_RETURN_IF_ERROR(CheckCurrent(node, !Writes(flags))); [[fallthrough]];
    case NodeKind::kInboxFile: {
      handle->writes = Writes(flags);
      STAGEFS_ASSIGN_OR_RETURN(handle->file,
                               OpenNode(node, handle->writes, handle->writes && (flags & O_TRUNC) != 0));
      return handle;
    }
    case NodeKind::kCommand: return handle;
    case NodeKind::kText: {
      if (Writes(flags)) break;
      STAGEFS_ASSIGN_OR_RETURN(handle->text, TextOf(*node));
      return handle;
    }
    case NodeKind::kVersion:
    case NodeKind::kBaseFile:
    case NodeKind::kRecoveredFile: {
      if (Writes(flags)) break;
      STAGEFS_ASSIGN_OR_RETURN(handle->bytes, OpenBytes(*node));
      return handle;
    }
    case NodeKind::kFolder:
    case NodeKind::kSymlink:
    case NodeKind::kControlFolder:
    case NodeKind::kVersionsFolder:
    case NodeKind::kInboxFolder:
    case NodeKind::kBaseFolder:
    case NodeKind::kRecoveredFolder: return Error(ErrorCode::kIsDirectory, "not a file");
  }
  return Error(ErrorCode::kPermission, "versions and the base never change");
}

Result<ReadAnswer> StageFs::Read(Handle& handle, size_t size_bytes, off_t offset) {
  ReadAnswer answer;
  if (handle.file) {
    std::lock_guard lock(handle.file->mutex());
    STAGEFS_ASSIGN_OR_RETURN(answer.file, handle.file->ForReading());
  } else if (handle.bytes) {
    answer.file = handle.bytes;
  } else if (static_cast<size_t>(offset) < handle.text.size()) {
    answer.bytes = handle.text.substr(static_cast<size_t>(offset), size_bytes);
  }
  if (answer.file) bytes_read_.fetch_add(static_cast<int64_t>(size_bytes), std::memory_order_relaxed);
  return answer;
}

Result<size_t> StageFs::Write(Handle& handle, const char* data, size_t size_bytes, off_t offset) {
  bytes_written_.fetch_add(static_cast<int64_t>(size_bytes), std::memory_order_relaxed);
  if (handle.node->kind == NodeKind::kCommand) {
    std::string_view lines(data, size_bytes);
    for (size_t end; !lines.empty(); lines.remove_prefix(std::min(end + 1, lines.size()))) {
      end = std::min(lines.find('\n'), lines.size());
      if (end > 0) STAGEFS_RETURN_IF_ERROR(RunCommand(std::string(lines.substr(0, end))));
    }
    return size_bytes;
  }
  if (!handle.file) return Error(ErrorCode::kPermission, "nothing can be written here");
  std::lock_guard lock(handle.file->mutex());
  STAGEFS_RETURN_IF_ERROR(
      handle.file->Write(data, size_bytes, static_cast<uint64_t>(offset), PlacerOf(handle.node)));
  return size_bytes;
}

// The one place where an error still reaches whoever wrote.
Status StageFs::Flush(Handle& handle) {
  if (!handle.file || !handle.writes) return {};
  OpenFile& file = *handle.file;
  std::lock_guard flushing(file.flushing());
  {
    std::lock_guard lock(file.mutex());
    // Created or emptied and not written yet: the last close decides.
    if (!file.dirty() && !file.refused()) return file.manifest_outcome;
    STAGEFS_RETURN_IF_ERROR(StageNode(handle.node, file));
  }
  file.manifest_outcome = IsManifestNode(*handle.node) ? StageManifestOf(*handle.node) : Status();
  return file.manifest_outcome;
}

void StageFs::Release(std::unique_ptr<Handle> handle) {
  const auto& file = handle->file;
  if (!file) return;
  bool last = false;
  {
    std::lock_guard lock(file->mutex());
    file->writers -= handle->writes;
    auto table = table_.Lock();
    last = --file->handles == 0;
  }
  if (!last) return;
  std::lock_guard flushing(file->flushing());
  bool late = false;
  {
    std::lock_guard lock(file->mutex());
    // What came after the last FLUSH (mmap), and files that nobody wrote to.
    late = (file->dirty() || file->fresh()) && StageNode(handle->node, *file);
  }
  if (late && IsManifestNode(*handle->node)) (void)StageManifestOf(*handle->node);
  std::lock_guard lock(file->mutex());
  const bool lost = !file->holds_bytes() && (file->dirty() || file->fresh());
  if (lost && handle->node->kind == NodeKind::kFile) ShowStagedAgain(handle->node);
  auto table = table_.Lock();
  if (file->handles > 0) return;
  if (file->holds_bytes())
    return;  // Refused: it stays visible until it is written again, retried or dismissed.
  if (handle->node->open() == file) table->SetOpen(handle->node, nullptr);
  if (handle->node->passed_over) {
    closed_.Lock()->push_back(handle->node);
    WakeNotifier();
  }
  table->DropIfUnused(handle->node);
}

Status StageFs::Sync(Handle& handle) {
  if (!handle.file) return repository_.SyncAll();
  std::lock_guard lock(handle.file->mutex());
  return handle.file->Sync(PlacerOf(handle.node));
}

Status StageFs::Allocate(Handle& handle, int mode, off_t offset, off_t size_bytes) {
  if (!handle.file) return Error(ErrorCode::kUnsupported, "not here");
  std::lock_guard lock(handle.file->mutex());
  return handle.file->Allocate(mode, static_cast<uint64_t>(offset), static_cast<uint64_t>(size_bytes),
                               PlacerOf(handle.node));
}

Result<off_t> StageFs::Seek(Handle& handle, off_t offset, int whence) {
  STAGEFS_ASSIGN_OR_RETURN(const ReadAnswer answer, Read(handle, 0, 0));
  if (!answer.file) return Error(ErrorCode::kUnsupported, "not here");
  // Every read and write names its offset, so moving the shared one disturbs nobody.
  const off_t found = lseek(answer.file->get(), offset, whence);
  if (found < 0) return ErrnoError("seek");
  return found;
}

Result<uint64_t> StageFs::CopyRange(Handle& in, off_t offset_in, Handle& out, off_t offset_out,
                                    size_t size_bytes) {
  if (!out.file) return Error(ErrorCode::kUnsupported, "not here");
  VersionId version = 0;
  std::shared_ptr<SharedFd> bytes = in.bytes;
  uint64_t source_bytes = 0;
  if (in.file) {
    if (in.file == out.file) return Error(ErrorCode::kUnsupported, "within one file");
    std::lock_guard lock(in.file->mutex());
    STAGEFS_ASSIGN_OR_RETURN(bytes, in.file->ForReading());
    source_bytes = in.file->size_bytes();
    if (in.file->is_version()) version = in.file->version();
  } else if (bytes) {
    auto table = table_.Lock();
    version = in.node->entry().version;  // 0 for a recovered file, which is in no store.
    source_bytes = in.node->entry().size_bytes;
  } else {
    return Error(ErrorCode::kUnsupported, "not here");
  }
  std::lock_guard lock(out.file->mutex());
  return out.file->CopyFrom(version, bytes, source_bytes, static_cast<uint64_t>(offset_in),
                            static_cast<uint64_t>(offset_out), size_bytes, PlacerOf(out.node));
}

void StageFs::KeepUnstaged() {
  std::vector<std::shared_ptr<Node>> nodes;
  {
    auto table = table_.Lock();
    nodes = table->All();
  }
  for (const auto& node : nodes) {
    const auto file = FileOf(node);
    if (!file) continue;
    std::lock_guard lock(file->mutex());
    // The kernel drops the RELEASE of a last close that ends a lazy unmount: new files wait for it.
    const bool created = file->fresh() && file->version() == 0;
    if (!file->dirty() && !file->refused() && !created) continue;
    if (!file->refused() && StageNode(node, *file)) continue;
    file->KeepForNextStart(PlacerOf(node));
  }
}

}  // namespace stagefs
