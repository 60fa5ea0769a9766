// Made, linked, removed, renamed; attributes that are set.
#include <fcntl.h>

#include <mutex>
#include <utility>

#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"
#include "tree_place.h"

namespace stagefs {
namespace {

bool IsTrash(const std::string& name) { return name.starts_with(".Trash-") || name == ".Trash"; }

// Whether names may be changed in it.
Status CheckFolder(const Node& node) {
  if (node.kind == NodeKind::kFolder) return {};
  if (node.kind == NodeKind::kFile || node.kind == NodeKind::kSymlink) {
    return Error(ErrorCode::kNotDirectory, "not a folder");
  }
  return Error(ErrorCode::kPermission, "nothing can be changed here");
}

// The mutexes of up to two open files, which two threads may ask for in either order.
class FileLocks {
 public:
  FileLocks(OpenFile* a, OpenFile* b) {
    if (a != nullptr) a_ = FileLock(a->mutex(), std::defer_lock);
    if (b != nullptr) b_ = FileLock(b->mutex(), std::defer_lock);
    if (a != nullptr && b != nullptr) std::lock(a_, b_);
    else if (a != nullptr) a_.lock();
    else if (b != nullptr) b_.lock();
  }

 private:
  FileLock a_, b_;
};

}  // namespace

Status TreePlace::CheckNewName(const Node& parent, const std::string& name) const {
  STAGEFS_RETURN_IF_ERROR(CheckFolder(parent));
  if (IsTrash(name)) {
    return Error(ErrorCode::kPermission, "no trash here: removing unstages");
  }
  if (parent.id == kRootNode && name == kControlFolder) {
    return Error(ErrorCode::kPermission, "the control folder is not a place to stage");
  }
  return CheckEntryName(name);
}

Result<LookedUp> TreePlace::MakeFolder(const std::shared_ptr<Node>& folder, const std::string& name, mode_t mode) {
  STAGEFS_RETURN_IF_ERROR(CheckNewName(*folder, name));
  const Slot slot{folder->folder(), name};
  STAGEFS_ASSIGN_OR_RETURN(const Entry entry, workspace_->MakeFolder(slot, nodes_.ModeOfNew(mode, /*is_folder=*/true)));
  nodes_.TouchFolder(slot.folder);
  return LookedUp{files_.AttributesOf(nodes_.Remember(slot, entry, true))};
}

Result<Created> TreePlace::MakeFile(const std::shared_ptr<Node>& folder, const std::string& name, mode_t mode) {
  STAGEFS_RETURN_IF_ERROR(CheckNewName(*folder, name));
  const Slot slot{folder->folder(), name};
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> existing, tree_.LookUp(slot));
  if (existing) return Error(ErrorCode::kExists, name);
  std::shared_ptr<Node> node;
  {
    auto table = nodes_.Lock();
    node = table->Add(NodeKind::kFile);
    node->SetEntry(Entry::OfFile(0, 0, 0));
    table->Attach(node, slot);
    table->SetWritten(node, true);
    folder->MakeExtra().absent.erase(name);
    folder->MakeExtra().touched_ns = NowNs();
  }
  return OpenCreated(files_, node, mode);
}

Result<LookedUp> TreePlace::MakeSymlink(const std::shared_ptr<Node>& folder, const std::string& name,
                                        const std::string& target) {
  STAGEFS_RETURN_IF_ERROR(CheckNewName(*folder, name));
  const Slot slot{folder->folder(), name};
  STAGEFS_ASSIGN_OR_RETURN(const Workspace::Linked linked, workspace_->Link(slot, target, options_.mountpoint));
  nodes_.TouchFolder(slot.folder);
  if (!linked.staged) return LookedUp{files_.AttributesOf(nodes_.Remember(slot, linked.entry, true))};
  // The kernel insists on a symbolic link as the answer; the next look-up finds the file under a new id.
  auto table = nodes_.Lock();
  const auto node = table->Add(NodeKind::kSymlink);
  node->SetEntry(Entry::OfSymlink(target, NowNs()));
  ++node->lookups;
  return LookedUp{nodes_.AttributesOf(*node), /*cacheable=*/false};
}

Status TreePlace::StageBeforeLink(const std::shared_ptr<Node>& source) {
  if (source->kind != NodeKind::kFile) return {};
  const auto file = files_.FileOf(source);
  if (!file) return CheckCurrent(source, Use::kLink);
  STAGEFS_RETURN_IF_ERROR(files_.AwaitHashed(file.get()));
  STAGEFS_ASSIGN_OR_RETURN(const FileLock lock, LockInterruptibly(file->mutex()));
  return files_.StageIfWaiting(source, *file);
}

Result<LookedUp> TreePlace::Link(const std::shared_ptr<Node>& source, const std::shared_ptr<Node>& folder,
                                 const std::string& name) {
  STAGEFS_RETURN_IF_ERROR(CheckNewName(*folder, name));
  STAGEFS_RETURN_IF_ERROR(StageBeforeLink(source));
  if (IsLink(source->kind)) {
    std::string target;
    {
      auto table = nodes_.Lock();
      target = source->extra().target;
    }
    return MakeSymlink(folder, name, target);  // Another link: the two share no number.
  }
  if (source->kind != NodeKind::kFile && source->kind != NodeKind::kVersion && source->kind != NodeKind::kBaseFile &&
      source->kind != NodeKind::kCommitFile && source->kind != NodeKind::kTakenBackFile) {
    return Error(ErrorCode::kPermission, "only files can be linked");
  }
  Entry linked;
  {
    auto table = nodes_.Lock();
    linked = source->entry();
  }
  StageHow how;
  how.exclusive = true;
  how.mtime_ns = linked.mtime_ns;
  how.mode = linked.mode();
  const Slot slot{folder->folder(), name};
  STAGEFS_ASSIGN_OR_RETURN(const StagedFile staged, workspace_->StageVersion(slot, linked.version, how));
  MountCounters::Add(files_.counters().staged);
  nodes_.TouchFolder(slot.folder);
  const auto link = nodes_.Remember(slot, staged.entry, true);
  if (source->kind == NodeKind::kFile) {
    auto table = nodes_.Lock();
    if (source->attached && !source->written && link->attached) table->ShareNumber(source, link);
  }
  return LookedUp{files_.AttributesOf(link)};
}

Status TreePlace::RemoveFolder(const std::shared_ptr<Node>& folder, const std::string& name) {
  STAGEFS_RETURN_IF_ERROR(CheckFolder(*folder));
  const Slot slot{folder->folder(), name};
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, tree_.LookUp(slot));
  if (entry && entry->kind == EntryKind::kFolder) {
    STAGEFS_RETURN_IF_ERROR(files_.CheckNothingIsWrittenIn(entry->child));
  }
  STAGEFS_RETURN_IF_ERROR(workspace_->RemoveFolder(slot));
  nodes_.TouchFolder(slot.folder);
  auto table = nodes_.Lock();
  if (const auto node = table->FindSlot(slot)) table->Detach(node);
  return {};
}

Status TreePlace::Remove(const std::shared_ptr<Node>& folder, const std::string& name) {
  STAGEFS_RETURN_IF_ERROR(CheckFolder(*folder));
  const Slot slot{folder->folder(), name};
  const auto node = nodes_.Lock()->FindSlot(slot);
  STAGEFS_RETURN_IF_ERROR(files_.Remove(node, [&] { return workspace_->Remove(slot); }));
  told_stale_.Lock()->erase(slot);
  nodes_.TouchFolder(slot.folder);
  return {};
}

Status TreePlace::Rename(const std::shared_ptr<Node>& from_folder, const std::string& name,
                         const std::shared_ptr<Node>& to_folder, const std::string& new_name, RenameMode mode) {
  if (to_folder->kind == NodeKind::kInboxFolder) return Error(ErrorCode::kCrossDevice, "copy it instead");
  STAGEFS_RETURN_IF_ERROR(CheckFolder(*from_folder));
  STAGEFS_RETURN_IF_ERROR(CheckNewName(*to_folder, new_name));
  RenameEnd from{{from_folder->folder(), name}, nullptr, nullptr};
  RenameEnd to{{to_folder->folder(), new_name}, nullptr, nullptr};
  {
    auto table = nodes_.Lock();
    from.node = table->FindSlot(from.slot);
    to.node = table->FindSlot(to.slot);
  }
  if (to.node && to.node->kind == NodeKind::kFolder && mode == RenameMode::kReplace && to.node != from.node) {
    STAGEFS_RETURN_IF_ERROR(files_.CheckNothingIsWrittenIn(to.node->folder()));
  }
  from.file = files_.FileOf(from.node);
  to.file = to.node == from.node ? nullptr : files_.FileOf(to.node);
  STAGEFS_RETURN_IF_ERROR(files_.AwaitHashed(from.file.get()));
  STAGEFS_RETURN_IF_ERROR(files_.AwaitHashed(to.file.get()));
  {
    // Held until the new names are known: a FLUSH meanwhile must not stage under the old one.
    const FileLocks locks(from.file.get(), to.file.get());
    STAGEFS_RETURN_IF_ERROR(RenameHeld(from, to, mode));
  }
  if (from.slot != to.slot) worker_->Wake();
  return {};
}

// REQUIRES: the mutexes of both files are held.
Status TreePlace::RenameHeld(const RenameEnd& from, const RenameEnd& to, RenameMode mode) {
  const bool exchange = mode == RenameMode::kExchange;
  if (from.file) STAGEFS_RETURN_IF_ERROR(files_.StageIfWaiting(from.node, *from.file));
  if (to.file) {
    STAGEFS_RETURN_IF_ERROR(exchange ? files_.StageIfWaiting(to.node, *to.file)
                                     : files_.StageIfClosed(to.node, *to.file));
  }
  STAGEFS_RETURN_IF_ERROR(workspace_->Rename(from.slot, to.slot, mode));
  if (from.slot == to.slot) return {};
  for (const Slot& slot : {from.slot, to.slot}) told_stale_.Lock()->erase(slot);
  nodes_.TouchFolder(from.slot.folder);
  nodes_.TouchFolder(to.slot.folder);
  {
    auto table = nodes_.Lock();
    if (to.node) {
      table->Detach(to.node);
      if (!exchange && to.file && to.file->handles == 0) table->SetOpen(to.node, nullptr);
    }
    if (from.node) table->Detach(from.node);
  }
  Arrive(from.node, to.slot);
  if (exchange) Arrive(to.node, from.slot);
  if (to.file && !exchange) to.file->Detach();
  if (from.file) from.file->Moved(files_.PlacerOf(from.node));
  return {};
}

// After a rename the kernel shows the inode it knows at the new name. One that was replaced behind its back
// must not stay there.
void TreePlace::Arrive(const std::shared_ptr<Node>& node, const Slot& slot) {
  const auto now = tree_.LookUp(slot);
  {
    auto table = nodes_.Lock();
    if (node && (node->written || (now && *now && SameContent(**now, node->entry())))) {
      table->Attach(node, slot);
      return;
    }
  }
  notifier_.ShowAgain(slot);
}

Result<Attributes> TreePlace::SetAttributesOf(const std::shared_ptr<Node>& node, const SetAttributes& set,
                                              FileHandle* handle) {
  SetAttributes all = set;
  // Also where the size stays as it is.
  if (set.size_bytes && !set.mtime_ns) all.mtime_ns = NowNs();
  if (node->kind == NodeKind::kFile) {
    STAGEFS_ASSIGN_OR_RETURN(const bool done, SetOnFile(node, all, handle));
    if (done) return files_.AttributesOf(node);
  }
  if (all.mtime_ns || all.mode) STAGEFS_RETURN_IF_ERROR(SetTraits(node, all));
  return files_.AttributesOf(node);
}

// True: all of it is staged with the file.
Result<bool> TreePlace::SetOnFile(const std::shared_ptr<Node>& node, const SetAttributes& set, FileHandle* handle) {
  std::shared_ptr<OpenFile> file = handle != nullptr ? handle->file() : files_.FileOf(node);
  std::unique_ptr<FileHandle> own;
  if (!file && set.size_bytes) {
    STAGEFS_ASSIGN_OR_RETURN(own, Open(node, O_WRONLY));
    file = own->file();
  }
  if (!file) return false;
  auto done = files_.SetOn(node, *file, set, /*staged_at_once=*/handle == nullptr);
  if (own) own->Release();
  return done;
}

Status TreePlace::SetTraits(const std::shared_ptr<Node>& node, const SetAttributes& set) {
  Slot slot;
  {
    auto table = nodes_.Lock();
    if (node->id == kRootNode) {
      if (set.mtime_ns) node->MakeExtra().touched_ns = *set.mtime_ns;
      return {};
    }
    if (!node->attached) return {};
    slot = node->slot;
  }
  std::optional<FileMode> mode;
  if (set.mode) mode = nodes_.ModeOf(*set.mode, node->kind == NodeKind::kFolder);
  STAGEFS_ASSIGN_OR_RETURN(const Entry entry, workspace_->SetTraits(slot, set.mtime_ns, mode));
  auto table = nodes_.Lock();
  Entry now = node->entry();
  now.mtime_ns = entry.mtime_ns;
  now.SetMode(entry.mode());
  node->SetEntry(now);
  if (node->kind == NodeKind::kFolder && set.mtime_ns) node->MakeExtra().touched_ns = 0;
  return {};
}

}  // namespace stagefs
