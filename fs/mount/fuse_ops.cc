#define FUSE_USE_VERSION 312
#include "fuse_ops.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "caller_life.h"
#include "errno_map.h"
#include "fuse_killpriv.h"
#include "stagefs/daemon_log.h"
#include "stagefs/interruption.h"
#include "stagefs/status_text.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

// Everything that changes goes through here or is notified, so the kernel may remember for long.
constexpr double kTimeoutSeconds = 600;
constexpr double kGhostTimeoutSeconds = 1;
// Below this a plain copy is quicker than a splice.
constexpr size_t kSpliceBytesMin = 128 << 10;
constexpr unsigned kRenameNoReplace = 1;  // RENAME_NOREPLACE and RENAME_EXCHANGE of linux/fs.h.
constexpr unsigned kRenameExchange = 2;

FuseContext& ContextOf(fuse_req_t request) { return *static_cast<FuseContext*>(fuse_req_userdata(request)); }
StageFs& FsOf(fuse_req_t request) { return ContextOf(request).fs; }
FileHandle& FileOf(const fuse_file_info* info) { return *reinterpret_cast<FileHandle*>(info->fh); }
DirectoryStream& FolderOf(const fuse_file_info* info) { return *reinterpret_cast<DirectoryStream*>(info->fh); }

bool IsPoke(fuse_req_t request) { return ContextOf(request).poker.Asks(fuse_req_ctx(request)->pid); }

// What the request that this thread answers names: a node, or a name in one.
struct Subject {
  fuse_ino_t id = 0;
  const char* name = nullptr;
};
thread_local Subject subject;

// While it lives, this thread works for who sent a request. What it does after its reply it does for nobody: the
// request is gone then.
class Serving {
 public:
  Serving(fuse_req_t request, Subject named)
      : life_(fuse_req_ctx(request)->pid),
        caller_([this, request] {
          const Life life = life_.Look();
          return life == Life::kEnds || (life == Life::kUnknown && fuse_req_interrupted(request) != 0);
        }),
        scope_(&caller_) {
    subject = named;
  }

 private:
  CallerLife life_;
  Caller caller_;
  const WorkingFor scope_;
};

template <auto kOperation>
constexpr auto OfNode = [](fuse_req_t request, fuse_ino_t id, auto... rest) {
  const Serving serving(request, {id, nullptr});
  kOperation(request, id, rest...);
};
template <auto kOperation>
constexpr auto OfName = [](fuse_req_t request, fuse_ino_t parent, const char* name, auto... rest) {
  const Serving serving(request, {parent, name});
  kOperation(request, parent, name, rest...);
};

std::string SubjectPath(StageFs& fs) {
  const std::string path = fs.nodes().Lock()->PathShown(subject.id);
  if (subject.name == nullptr) return path;
  return subject.id == kRootNode ? subject.name : path + '/' + subject.name;
}

// A program is told a number; what it stands for is in the log where it is trouble, not the program's own mistake.
void Fail(fuse_req_t request, const char* operation, const Error& error, int code) {
  const bool is_trouble = code == EIO || code == ENOSPC || code == EBUSY || code == ENFILE;
  if (is_trouble || ContextOf(request).debug) {
    const LogLevel level = code == EIO ? LogLevel::kError : is_trouble ? LogLevel::kWarning : LogLevel::kDebug;
    Log(level, std::string(operation) + ' ' + ShowText(SubjectPath(FsOf(request))) + ": " + std::strerror(code) + ": " +
                   error.message());
  }
  fuse_reply_err(request, code);
}

void Fail(fuse_req_t request, const char* operation, const Error& error) {
  Fail(request, operation, error, ToErrno(error.code()));
}

void Reply(fuse_req_t request, const char* operation, const Status& status) {
  if (status) fuse_reply_err(request, 0);
  else Fail(request, operation, status.error());
}

struct stat StatOf(const Attributes& attributes, const MountOptions& options) {
  struct stat stat {};
  stat.st_ino = attributes.number;
  stat.st_mode = attributes.type | attributes.permissions;
  stat.st_nlink = attributes.links;
  stat.st_uid = options.uid;
  stat.st_gid = options.gid;
  stat.st_size = static_cast<off_t>(attributes.size_bytes);
  stat.st_blksize = 128 << 10;
  // Without blocks cp takes a file for one big hole and reads it instead of asking for a copy by reference.
  stat.st_blocks = attributes.blocks.value_or(static_cast<int64_t>((attributes.size_bytes + 511) / 512));
  stat.st_mtim.tv_sec = attributes.mtime_ns / 1'000'000'000;
  stat.st_mtim.tv_nsec = attributes.mtime_ns % 1'000'000'000;
  if (stat.st_mtim.tv_nsec < 0) {
    stat.st_mtim.tv_nsec += 1'000'000'000;
    --stat.st_mtim.tv_sec;
  }
  stat.st_atim = stat.st_ctim = stat.st_mtim;
  return stat;
}

// Even ids are files of the tree, odd ones its folders; both are notified.
double AttributesTimeout(const Attributes& attributes) {
  return attributes.fleeting ? 0 : kTimeoutSeconds;
}

fuse_entry_param EntryOf(const LookedUp& found, const MountOptions& options) {
  fuse_entry_param entry{};
  entry.ino = found.attributes.id;
  if (entry.ino != 0) entry.attr = StatOf(found.attributes, options);
  entry.entry_timeout = found.cacheable ? kTimeoutSeconds : 0;
  entry.attr_timeout = found.cacheable ? AttributesTimeout(found.attributes) : 0;
  return entry;
}

void ForgetUnasked(StageFs& fs, fuse_ino_t id) {
  const WorkingFor nobody(nullptr);
  fs.Forget(id, 1);
}

void ReplyEntry(fuse_req_t request, const char* operation, const Result<LookedUp>& found) {
  if (!found) return Fail(request, operation, found.error());
  if (found->attributes.id == 0 && !found->cacheable) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  StageFs& fs = FsOf(request);  // The request goes with the reply.
  const fuse_entry_param entry = EntryOf(*found, fs.options());
  // The kernel went away in between: it will not send the FORGET for this reference.
  if (fuse_reply_entry(request, &entry) == -ENOENT && entry.ino != 0) ForgetUnasked(fs, entry.ino);
}

void Init(void* context, fuse_conn_info* connection) {
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_AUTO_INVAL_DATA);
  connection->want |= connection->capable & FUSE_CAP_EXPLICIT_INVAL_DATA;
  WantKillpriv(connection);
  connection->max_background = kBackgroundMax;
  const auto& on_ready = static_cast<FuseContext*>(context)->on_ready;
  if (on_ready) on_ready();
}

void LookUp(fuse_req_t request, fuse_ino_t parent, const char* name) {
  if (IsPoke(request) && ContextOf(request).poker.PretendsAbsent()) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  ReplyEntry(request, "lookup", FsOf(request).LookUp(parent, name));
}

void Forget(fuse_req_t request, fuse_ino_t id, uint64_t count) {
  FsOf(request).Forget(id, count);
  fuse_reply_none(request);
}

void ForgetMulti(fuse_req_t request, size_t count, fuse_forget_data* forgets) {
  for (size_t i = 0; i < count; ++i) FsOf(request).Forget(forgets[i].ino, forgets[i].nlookup);
  fuse_reply_none(request);
}

void ReplyAttributes(fuse_req_t request, const char* operation, const Result<Attributes>& attributes) {
  if (!attributes) return Fail(request, operation, attributes.error());
  const struct stat stat = StatOf(*attributes, FsOf(request).options());
  fuse_reply_attr(request, &stat, AttributesTimeout(*attributes));
}

void GetAttr(fuse_req_t request, fuse_ino_t id, fuse_file_info*) {
  ReplyAttributes(request, "getattr", FsOf(request).GetAttributes(id));
}

void SetAttr(fuse_req_t request, fuse_ino_t id, struct stat* stat, int what, fuse_file_info* info) {
  if (IsPoke(request)) return ReplyAttributes(request, "poke", FsOf(request).GetAttributes(id));
  SetAttributes set;
  if ((what & FUSE_SET_ATTR_SIZE) != 0) set.size_bytes = static_cast<uint64_t>(stat->st_size);
  if ((what & FUSE_SET_ATTR_MODE) != 0) set.mode = stat->st_mode;
  if ((what & FUSE_SET_ATTR_MTIME_NOW) != 0) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    set.mtime_ns = now.tv_sec * 1'000'000'000 + now.tv_nsec;
  } else if ((what & FUSE_SET_ATTR_MTIME) != 0) {
    set.mtime_ns = stat->st_mtim.tv_sec * 1'000'000'000 + stat->st_mtim.tv_nsec;
  }
  // Owner, group and access time are shown as mounted; refusing them would stop rsync, install and tar.
  ReplyAttributes(request, "setattr",
                  FsOf(request).SetAttributesOf(id, set, info != nullptr ? &FileOf(info) : nullptr));
}

void ReadLink(fuse_req_t request, fuse_ino_t id) {
  const auto target = FsOf(request).ReadLink(id);
  if (!target) return Fail(request, "readlink", target.error());
  fuse_reply_readlink(request, target->c_str());
}

void MkDir(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  if (IsPoke(request)) return ReplyEntry(request, "poke", FsOf(request).LookUp(parent, name));
  ReplyEntry(request, "mkdir", FsOf(request).MakeFolder(parent, name, mode));
}

void RmDir(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Reply(request, "rmdir", FsOf(request).RemoveFolder(parent, name));
}

void Unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
  if (IsPoke(request)) return Reply(request, "poke", {});
  Reply(request, "unlink", FsOf(request).Remove(parent, name));
}

void SymLink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
  const Serving serving(request, {parent, name});
  ReplyEntry(request, "symlink", FsOf(request).MakeSymlink(parent, name, target));
}

void Rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
            const char* new_name, unsigned flags) {
  RenameMode mode = RenameMode::kReplace;
  if (flags == kRenameNoReplace) mode = RenameMode::kNoReplace;
  else if (flags == kRenameExchange) mode = RenameMode::kExchange;
  else if (flags != 0) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  Reply(request, "rename", FsOf(request).Rename(parent, name, new_parent, new_name, mode));
}

void Link(fuse_req_t request, fuse_ino_t id, fuse_ino_t parent, const char* name) {
  const auto link = FsOf(request).Link(id, parent, name);
  // Attributes alone are forgotten without a lock that the kernel holds for this request.
  if (link && link->attributes.links > 1) {
    fuse_lowlevel_notify_inval_inode(ContextOf(request).session, id, -1, 0);
  }
  ReplyEntry(request, "link", link);
}

void KeepFile(fuse_req_t request, std::unique_ptr<FileHandle> handle, fuse_file_info* info) {
  const NodeKind kind = handle->node()->kind;
  info->direct_io = kind == NodeKind::kText || kind == NodeKind::kCommand;
  // Content that is replaced from outside gets a new inode, so what is cached for one stays right.
  info->keep_cache = kind == NodeKind::kFile || kind == NodeKind::kVersion;
  info->noflush = !handle->writes() && kind != NodeKind::kCommand;
  info->fh = reinterpret_cast<uint64_t>(handle.get());
  auto files = ContextOf(request).files.Lock();
  files->emplace(handle.get(), std::move(handle));
}

void ReleaseFile(FuseContext& context, fuse_file_info* info) {
  const WorkingFor nobody(nullptr);
  auto file = context.files.Lock()->extract(&FileOf(info));
  if (!file.empty()) file.mapped()->Release();
}

void Open(fuse_req_t request, fuse_ino_t id, fuse_file_info* info) {
  auto handle = FsOf(request).Open(id, info->flags);
  if (!handle && (handle.error().code() == ErrorCode::kBusy || !DescriptorsAreLeft())) {
    return Fail(request, "open", handle.error(), ENFILE);
  }
  if (!handle) return Fail(request, "open", handle.error());
  FuseContext& context = ContextOf(request);
  (*handle)->opened_by = fuse_req_ctx(request)->pid;
  KeepFile(request, std::move(*handle), info);
  if (fuse_reply_open(request, info) == -ENOENT) ReleaseFile(context, info);
}

void Create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* info) {
  auto created = FsOf(request).CreateFile(parent, name, mode, info->flags);
  if (!created) return Fail(request, "create", created.error());
  FuseContext& context = ContextOf(request);
  created->handle->opened_by = fuse_req_ctx(request)->pid;
  KeepFile(request, std::move(created->handle), info);
  const fuse_entry_param entry = EntryOf(created->found, context.fs.options());
  if (fuse_reply_create(request, &entry, info) != -ENOENT) return;
  ReleaseFile(context, info);
  ForgetUnasked(context.fs, entry.ino);
}

void MkNod(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t) {
  if (IsPoke(request)) {
    const auto found = FsOf(request).LookUp(parent, name);
    if (found && found->attributes.id != 0) return ReplyEntry(request, "poke", found);
    // A ghost, gone with the next request: the kernel need only remember it until then.
    fuse_entry_param ghost{};
    ghost.ino = kGhostNode;
    ghost.attr.st_ino = kGhostNode;
    ghost.attr.st_mode = S_IFREG;
    ghost.attr.st_uid = FsOf(request).options().uid;
    ghost.attr_timeout = ghost.entry_timeout = kGhostTimeoutSeconds;
    fuse_reply_entry(request, &ghost);
    return;
  }
  if (!S_ISREG(mode)) {
    fuse_reply_err(request, EPERM);  // No devices, pipes or sockets.
    return;
  }
  auto created = FsOf(request).CreateFile(parent, name, mode);
  if (!created) return Fail(request, "mknod", created.error());
  created->handle->Release();
  ReplyEntry(request, "mknod", created->found);
}

void Read(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info* info) {
  const auto answer = FileOf(info).Read(size, offset);
  if (!answer) return Fail(request, "read", answer.error());
  if (!answer->file) {
    fuse_reply_buf(request, answer->bytes.data(), answer->bytes.size());
    return;
  }
  // The kernel keeps a page whole, so what lies beyond the end would be there once the file grows.
  const auto begin = static_cast<uint64_t>(offset);
  size = begin < answer->size_bytes ? std::min<uint64_t>(size, answer->size_bytes - begin) : 0;
  if (size == 0) {
    fuse_reply_buf(request, nullptr, 0);
    return;
  }
  fuse_bufvec piece = FUSE_BUFVEC_INIT(size);
  piece.buf[0].flags = static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK);
  piece.buf[0].fd = answer->file->get();
  piece.buf[0].pos = offset;
  fuse_reply_data(request, &piece, size < kSpliceBytesMin ? FUSE_BUF_NO_SPLICE : FUSE_BUF_SPLICE_MOVE);
}

void Write(fuse_req_t request, fuse_ino_t, const char* data, size_t size, off_t offset,
           fuse_file_info* info) {
  const auto written = FileOf(info).Write(data, size, offset);
  if (!written) return Fail(request, "write", written.error());
  fuse_reply_write(request, *written);
}

void Flush(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  FileHandle& handle = FileOf(info);
  Reply(request, "flush", handle.Flush(/*inherited=*/fuse_req_ctx(request)->pid != handle.opened_by));
}

void Release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  ReleaseFile(ContextOf(request), info);
  fuse_reply_err(request, 0);
}

void FSync(fuse_req_t request, fuse_ino_t, int, fuse_file_info* info) {
  Reply(request, "fsync", FileOf(info).Sync());
}

void OpenDir(fuse_req_t request, fuse_ino_t id, fuse_file_info* info) {
  auto folder = FsOf(request).OpenFolder(id);
  if (!folder) return Fail(request, "opendir", folder.error());
  FuseContext& context = ContextOf(request);
  const DirectoryStream* const key = folder->get();
  info->fh = reinterpret_cast<uint64_t>(key);
  context.folders.Lock()->emplace(key, std::move(*folder));
  if (fuse_reply_open(request, info) == -ENOENT) context.folders.Lock()->erase(key);
}

// Adds a name at `at`, if there is room, and returns how much it takes.
size_t AddName(fuse_req_t request, char* at, size_t left, const DirectoryStream::Name& name, bool plus,
               bool cacheable) {
  const MountOptions& options = FsOf(request).options();
  fuse_entry_param entry{};
  if (name.looked_up) entry = EntryOf({name.attributes, cacheable}, options);
  else entry.attr = StatOf(name.attributes, options);  // ino 0: the kernel looks it up when it needs it.
  if (plus) return fuse_add_direntry_plus(request, at, left, name.name.c_str(), &entry, name.next);
  return fuse_add_direntry(request, at, left, name.name.c_str(), &entry.attr, name.next);
}

void ReadDirBoth(fuse_req_t request, size_t size, off_t offset, fuse_file_info* info, bool plus) {
  Nodes& nodes = FsOf(request).nodes();
  const int64_t generation = nodes.generation();
  std::vector<DirectoryStream::Name> names;
  size_t used = 0;
  const Status status = FolderOf(info).List(offset, plus, [&](const DirectoryStream::Name& name) {
    const size_t needed = AddName(request, nullptr, 0, name, plus, false);
    if (needed > size - used) return false;
    used += needed;
    names.push_back(name);
    return true;
  });
  if (!status && names.empty()) return Fail(request, "readdir", status.error());
  // What others changed meanwhile the kernel was told of already: this answer comes after that.
  const bool cacheable = generation == nodes.generation();
  std::vector<char> buffer(used);
  size_t filled = 0;
  for (const auto& name : names) {
    filled += AddName(request, buffer.data() + filled, used - filled, name, plus, cacheable);
  }
  fuse_reply_buf(request, buffer.data(), filled);
}

void ReadDir(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info* info) {
  ReadDirBoth(request, size, offset, info, false);
}

void ReadDirPlus(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info* info) {
  ReadDirBoth(request, size, offset, info, true);
}

void ReleaseDir(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  ContextOf(request).folders.Lock()->erase(&FolderOf(info));
  fuse_reply_err(request, 0);
}

void FSyncDir(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
  Reply(request, "fsyncdir", FsOf(request).repository().SyncAll());
}

void StatFs(fuse_req_t request, fuse_ino_t) {
  const auto space = FsOf(request).repository().versions().GetSpace();
  if (!space) return Fail(request, "statfs", space.error());
  struct statvfs info {};
  info.f_bsize = info.f_frsize = space->block_bytes;
  info.f_blocks = space->blocks;
  info.f_bfree = space->blocks_free;
  info.f_bavail = space->blocks_available;
  info.f_files = space->files;
  info.f_ffree = info.f_favail = space->files_free;
  info.f_namemax = kNameBytesMax;
  fuse_reply_statfs(request, &info);
}

void GetXattr(fuse_req_t request, fuse_ino_t id, const char* name, size_t size) {
  const auto value = FsOf(request).GetXattr(id, name);
  if (!value) {
    const int code = ToErrno(value.error().code());
    if (code == ENOENT) fuse_reply_err(request, ENODATA);
    else Fail(request, "getxattr", value.error());
  } else if (size == 0) {
    fuse_reply_xattr(request, value->size());
  } else if (size < value->size()) {
    fuse_reply_err(request, ERANGE);
  } else {
    fuse_reply_buf(request, value->data(), value->size());
  }
}

// Nothing is listed, so that copy tools do not carry our attributes along.
void ListXattr(fuse_req_t request, fuse_ino_t, size_t size) {
  if (size == 0) fuse_reply_xattr(request, 0);
  else fuse_reply_buf(request, nullptr, 0);
}

void SetXattr(fuse_req_t request, fuse_ino_t, const char*, const char*, size_t, int) {
  fuse_reply_err(request, EOPNOTSUPP);
}

void RemoveXattr(fuse_req_t request, fuse_ino_t, const char*) { fuse_reply_err(request, EOPNOTSUPP); }

void FAllocate(fuse_req_t request, fuse_ino_t, int mode, off_t offset, off_t length, fuse_file_info* info) {
  Reply(request, "fallocate", FileOf(info).Allocate(mode, offset, length));
}

void LSeek(fuse_req_t request, fuse_ino_t, off_t offset, int whence, fuse_file_info* info) {
  const auto found = FileOf(info).Seek(offset, whence);
  if (!found) {
    fuse_reply_err(request, found.error().code() == ErrorCode::kUnsupported ? EINVAL : ENXIO);
    return;
  }
  fuse_reply_lseek(request, *found);
}

void CopyFileRange(fuse_req_t request, fuse_ino_t, off_t offset_in, fuse_file_info* in, fuse_ino_t,
                   off_t offset_out, fuse_file_info* out, size_t length, int) {
  const auto copied = FileOf(out).CopyFrom(FileOf(in), offset_in, offset_out, length);
  if (!copied) return Fail(request, "copy_file_range", copied.error());
  fuse_reply_write(request, *copied);
}

}  // namespace

const fuse_lowlevel_ops& FuseOperations() {
  static const fuse_lowlevel_ops kOperations = [] {
    fuse_lowlevel_ops ops{};
    ops.init = Init;
    ops.lookup = OfName<LookUp>;
    ops.forget = Forget;
    ops.forget_multi = ForgetMulti;
    ops.getattr = OfNode<GetAttr>;
    ops.setattr = OfNode<SetAttr>;
    ops.readlink = OfNode<ReadLink>;
    ops.mknod = OfName<MkNod>;
    ops.mkdir = OfName<MkDir>;
    ops.unlink = OfName<Unlink>;
    ops.rmdir = OfName<RmDir>;
    ops.symlink = SymLink;
    ops.rename = OfName<Rename>;
    ops.link = OfNode<Link>;
    ops.open = OfNode<Open>;
    ops.read = OfNode<Read>;
    ops.write = OfNode<Write>;
    ops.flush = OfNode<Flush>;
    ops.release = OfNode<Release>;
    ops.fsync = OfNode<FSync>;
    ops.opendir = OfNode<OpenDir>;
    ops.readdir = OfNode<ReadDir>;
    ops.readdirplus = OfNode<ReadDirPlus>;
    ops.releasedir = ReleaseDir;
    ops.fsyncdir = OfNode<FSyncDir>;
    ops.statfs = OfNode<StatFs>;
    ops.setxattr = SetXattr;
    ops.getxattr = OfNode<GetXattr>;
    ops.listxattr = ListXattr;
    ops.removexattr = RemoveXattr;
    ops.create = OfName<Create>;
    ops.fallocate = OfNode<FAllocate>;
    ops.lseek = OfNode<LSeek>;
    ops.copy_file_range = OfNode<CopyFileRange>;
    return ops;
  }();
  return kOperations;
}

}  // namespace stagefs
