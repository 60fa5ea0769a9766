#include "open_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "stagefs/byte_source.h"
#include "stagefs/incoming_file.h"
#include "stagefs/posix_env.h"
#include "stagefs/recovered.h"

namespace stagefs {

namespace {

// More than this is hashed behind the back of whoever closes, or cuts, a file: a second's work at most.
constexpr uint64_t kHashedAtOnceMax = 256 << 20;

// A file from its start, so far.
class FirstBytes : public ByteSource {
 public:
  FirstBytes(int fd, uint64_t size_bytes) : all_(NewFileSource(fd)), left_(size_bytes) {}
  Result<size_t> Read(void* data, size_t size_bytes) override {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, all_->Read(data, std::min<uint64_t>(size_bytes, left_)));
    left_ -= got;
    return got;
  }

 private:
  const std::unique_ptr<ByteSource> all_;
  uint64_t left_;
};

}  // namespace

OpenFile::OpenFile(OpenFileEnv env, std::optional<Entry> entry) : env_(env) {
  if (entry) {
    entry_ = *entry;
    size_bytes_ = entry->size_bytes;
    mtime_ns_ = entry->mtime_ns;
    *mode_.Lock() = entry->mode();
  } else {
    entry_.kind = EntryKind::kFile;
    mtime_ns_ = NowNs();
    fresh_ = true;
    hasher_.emplace();
  }
}

// What was promised is for the next start.
OpenFile::~OpenFile() {
  if (detached_ || !promised()) DropCopy();
}

void OpenFile::DropCopy() {
  if (!copy_fd_) return;
  copy_fd_.reset();
  RemoveCopyName();
}

void OpenFile::RemoveCopyName() {
  if (copy_.file.empty()) return;
  unlink(copy_.file.c_str());
  if (env_.copies.MayBeDurable(copy_)) (void)env_.copies.SyncNames();  // It must not come back when the power goes.
  (void)env_.copies.Forget(copy_, kept_);
  copy_.file.clear();
  copy_.state = WorkingCopyState::kWriting;
  kept_ = closed_ = until_last_ = part_waits_ = false;
}

void OpenFile::Detach() {
  detached_ = true;
  // What fsync() kept is still the path's if the power goes before the removal is durable.
  if (copy_fd_ && (!kept_ || env_.repository.SyncAll())) RemoveCopyName();
}

void OpenFile::NoteCopy(WorkingCopyState state) {
  copy_.state = state;
  if (copy_fd_ && !copy_.file.empty()) (void)env_.copies.Note(copy_);
}

Result<std::shared_ptr<SharedFd>> OpenFile::ForReading() {
  if (copy_fd_) return copy_fd_;
  if (clone_version_ != 0) return clone_fd_;
  if (!version_fd_ && !fresh_) {
    STAGEFS_ASSIGN_OR_RETURN(version_fd_, OpenSharedVersion(env_.repository, entry_.version, taken_fd_));
    taken_fd_.reset();
  }
  return version_fd_;  // Null: a new file, which has no bytes.
}

Status OpenFile::TakeDescriptorForReading() {
  if (copy_fd_ || clone_version_ != 0 || version_fd_ || fresh_ || taken_fd_) return {};
  STAGEFS_ASSIGN_OR_RETURN(taken_fd_, TakeDescriptor());
  return {};
}

Status OpenFile::OpenCopy(const Placer& placer) {
  if (detached_) {
    // Nobody is to find it, and its folder may be gone.
    STAGEFS_ASSIGN_OR_RETURN(UniqueFd unnamed, OpenUnnamed(env_.repository.incoming()));
    copy_fd_ = std::make_shared<SharedFd>(unnamed.Release());
    return {};
  }
  STAGEFS_ASSIGN_OR_RETURN(copy_, placer());
  copy_.state = WorkingCopyState::kWriting;
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd fd, env_.copies.Create(&copy_));
  copy_fd_ = std::make_shared<SharedFd>(fd.Release());
  return {};
}

Status OpenFile::MakeWritable(const Placer& placer) {
  if (refused_ && !write_failed_) {
    // Written again: what was refused gets another chance.
    refused_.reset();
    NoteCopy(WorkingCopyState::kWriting);
  }
  if (copy_fd_) return {};
  const uint64_t bytes = clone_version_ != 0 ? size_bytes_.load() : fresh_ ? 0 : entry_.size_bytes;
  std::shared_ptr<SharedFd> source;
  if (bytes > 0) {
    STAGEFS_ASSIGN_OR_RETURN(source, ForReading());
  }
  STAGEFS_RETURN_IF_ERROR(OpenCopy(placer));
  if (source) {
    if (const auto copied = CopyBytes(source->get(), copy_fd_->get(), bytes); !copied) {
      DropCopy();
      return copied.error();
    }
    if (hashed_bytes_ != bytes) hasher_.reset();  // Else it has seen these.
    if (clone_version_ == 0) {
      grown_from_ = entry_.version;
      grown_bytes_ = bytes;
      only_appended_ = true;
    }
  } else if (!hasher_) {
    hasher_.emplace();
    hashed_bytes_ = 0;
  }
  clone_version_ = 0;
  clone_fd_.reset();
  version_fd_.reset();
  taken_fd_.reset();
  return {};
}

void OpenFile::Touched(uint64_t offset, uint64_t size_bytes) {
  if (offset < grown_bytes_) only_appended_ = false;
  size_bytes_ = std::max<uint64_t>(size_bytes_, offset + size_bytes);
  mtime_ns_ = NowNs();
  dirty_ = true;
  fresh_ = false;
  hashed_.reset();
  ++changes_;
}

// Half a file must not replace a good one: close() repeats the error until the file is written anew.
Error OpenFile::BytesAreMissing(const Error& error) {
  dirty_ = write_failed_ = true;
  fresh_ = false;
  hasher_.reset();
  return Refuse(error);
}

// Nothing was written for who gave up before it was.
Error OpenFile::Unwritten(const Error& error) {
  return error.code() == ErrorCode::kInterrupted ? error : BytesAreMissing(error);
}

Status OpenFile::Write(const void* data, size_t size_bytes, uint64_t offset, const Placer& placer) {
  Status written = MakeWritable(placer);
  if (written) written = WriteAllAt(copy_fd_->get(), data, size_bytes, offset);
  if (!written) return Unwritten(written.error());
  if (hasher_ && offset == hashed_bytes_) {
    hasher_->Update(data, size_bytes);
    hashed_bytes_ += size_bytes;
  } else {
    hasher_.reset();
  }
  Touched(offset, size_bytes);
  return {};
}

Status OpenFile::Empty() {
  DropCopy();
  ForgetRefusal();
  clone_version_ = 0;
  clone_fd_.reset();
  version_fd_.reset();
  size_bytes_ = 0;
  mtime_ns_ = NowNs();
  dirty_ = false;
  fresh_ = true;
  hasher_.emplace();
  hashed_bytes_ = 0;
  hashed_.reset();
  grown_from_ = 0;
  return {};
}

Status OpenFile::Truncate(uint64_t size_bytes, const Placer& placer) {
  if (size_bytes == size_bytes_ && !refused_) return {};
  if (size_bytes == 0) ForgetRefusal();
  STAGEFS_RETURN_IF_ERROR(MakeWritable(placer));
  if (ftruncate(copy_fd_->get(), static_cast<off_t>(size_bytes)) != 0) return ErrnoError("truncate");
  hasher_.reset();
  if (size_bytes == 0) {
    (void)fchmod(copy_fd_->get(), 0600);  // A sync that failed has nothing to say of what is written now.
    hasher_.emplace();
    hashed_bytes_ = 0;
    grown_from_ = 0;
  }
  size_bytes_ = size_bytes;
  Touched(0, 0);
  return {};
}

Status OpenFile::Allocate(int mode, uint64_t offset, uint64_t size_bytes, const Placer& placer) {
  STAGEFS_RETURN_IF_ERROR(MakeWritable(placer));
  if (fallocate(copy_fd_->get(), mode, static_cast<off_t>(offset), static_cast<off_t>(size_bytes)) != 0) {
    return ErrnoError("allocate");
  }
  hasher_.reset();
  Touched(offset, (mode & FALLOC_FL_KEEP_SIZE) != 0 ? 0 : size_bytes);
  STAGEFS_ASSIGN_OR_RETURN(size_bytes_, FileSize(copy_fd_->get()));
  return {};
}

Result<uint64_t> OpenFile::CopyFrom(const CopySource& source, uint64_t offset_in, uint64_t offset_out,
                                    uint64_t size_bytes, const Placer& placer) {
  if (offset_in >= source.size_bytes || !source.file) return uint64_t{0};
  size_bytes = std::min(size_bytes, source.size_bytes - offset_in);
  const bool first = fresh_ && !copy_fd_ && clone_version_ == 0 && offset_out == 0;
  const bool next = clone_version_ == source.version && source.version != 0 && offset_out == size_bytes_;
  if (source.version != 0 && offset_in == offset_out && (first || next)) {
    clone_version_ = source.version;
    clone_fd_ = source.file;
    clone_version_bytes_ = source.size_bytes;
    Touched(offset_out, size_bytes);
    return size_bytes;
  }
  if (const Status writable = MakeWritable(placer); !writable) return Unwritten(writable.error());
  loff_t in = static_cast<loff_t>(offset_in);
  loff_t out = static_cast<loff_t>(offset_out);
  const ssize_t copied = copy_file_range(source.file->get(), &in, copy_fd_->get(), &out, size_bytes, 0);
  if (copied < 0) {
    const Error error = ErrnoError("copy");
    return error.code() == ErrorCode::kNoSpace ? BytesAreMissing(error) : error;
  }
  hasher_.reset();
  Touched(offset_out, static_cast<uint64_t>(copied));
  return static_cast<uint64_t>(copied);
}

void OpenFile::SetTraits(std::optional<int64_t> mtime_ns, const std::optional<FileMode>& mode) {
  if (mtime_ns) mtime_ns_ = *mtime_ns;
  if (mode) *mode_.Lock() = *mode;
  if (!closed_) return;
  WorkingCopyPlace place = copy_;
  place.closed.mtime_ns = mtime_ns_;
  place.closed.mode = *mode_.Lock();
  (void)NoteClosed(place);
}

Error OpenFile::Refuse(const Error& error) {
  refused_ = error;
  closed_ = until_last_ = false;
  NoteCopy(WorkingCopyState::kRefused);
  return error;
}

// Once a sync failed the disk may lack what memory has, though the next one succeeds. Where it is known what the bytes
// are they are written again, to another file of the same name; else nobody may rely on them any more.
Status OpenFile::SyncCopy() {
  const Status synced = SyncFile(copy_fd_->get(), copy_.file);
  if (synced) return synced;
  if (!hasher_ || hashed_bytes_ != size_bytes_) return BytesAreMissing(synced.error());
  const auto write_again = [&]() -> Status {
    STAGEFS_ASSIGN_OR_RETURN(IncomingFile file, env_.repository.NewIncoming());
    STAGEFS_RETURN_IF_ERROR(file.WriteFrom(*NewFileSource(copy_fd_->get())));  // A reflink shares what the disk has.
    if (file.Finish() != hasher_->Finish()) return synced;
    STAGEFS_RETURN_IF_ERROR(SyncFile(file.fd(), file.path()));
    STAGEFS_ASSIGN_OR_RETURN(UniqueFd fd, OpenFd(file.path(), O_RDWR));
    STAGEFS_RETURN_IF_ERROR(RenameFile(file.path(), copy_.file));
    file.Release();
    copy_fd_ = std::make_shared<SharedFd>(fd.Release());
    return {};
  };
  return write_again() ? Status() : BytesAreMissing(synced.error());
}

Status OpenFile::Sync(const Placer& placer) {
  if (detached_) return {};
  if (closed_) {
    STAGEFS_RETURN_IF_ERROR(SyncClosed());
    return env_.repository.SyncAll();
  }
  if (!dirty_ && !fresh_) return env_.repository.SyncAll();
  // Also a file that was only created, or cloned, exists from now on.
  STAGEFS_RETURN_IF_ERROR(MakeWritable(placer));
  STAGEFS_RETURN_IF_ERROR(SyncCopy());
  // What the path holds until this copy is staged.
  const auto before = entry_.version != 0 ? std::optional(entry_.version) : std::nullopt;
  STAGEFS_RETURN_IF_ERROR(env_.copies.Keep(copy_, before));
  kept_ = true;
  return {};
}

// Other bytes than those that were synced with it, which the copy has nevertheless.
Status OpenFile::NoteClosed(const WorkingCopyPlace& place) {
  STAGEFS_RETURN_IF_ERROR(env_.copies.Note(place));
  if (!copy_.was_closed() || closed_synced_) unsynced_since_ = Clock::now();
  copy_ = place;
  closed_synced_ = false;
  return {};
}

Status OpenFile::CloseUnstaged(VersionId over, const Placer& placer, const Until& until) {
  if (closed_) {
    until_last_ = until.last_writer;
    due_ = until.due;
    return {};
  }
  STAGEFS_RETURN_IF_ERROR(MakeWritable(placer));  // A clone becomes a file of its own.
  if (!TakesLong()) STAGEFS_RETURN_IF_ERROR(HashCopy());
  WorkingCopyPlace place = copy_;
  place.state = WorkingCopyState::kClosed;
  place.closed = {*mode_.Lock(), mtime_ns_, over, size_bytes_, /*synced=*/false, std::nullopt};
  if (hashed_) place.closed.content = hashed_->id.sha256;
  STAGEFS_RETURN_IF_ERROR(NoteClosed(place));
  until_last_ = until.last_writer;
  due_ = until.due;
  closed_ = true;
  part_waits_ = false;
  return {};
}

bool OpenFile::TakesLong() const {
  const bool known = hashed_ || (hasher_ && hashed_bytes_ == size_bytes_);
  return dirty_ && copy_fd_ && !known && !refused_ && !detached_ && size_bytes_ > kHashedAtOnceMax;
}

Status OpenFile::NoteHashed(const HashedFile& hashed) {
  hashed_ = hashed;
  WorkingCopyPlace place = copy_;
  place.closed.content = hashed.id.sha256;
  return NoteClosed(place);
}

bool OpenFile::MayBeRewritten(uint64_t offset) const {
  return closed_ && copy_fd_ && (!copy_.closed.content || offset >= copy_.closed.size_bytes);
}

Status OpenFile::Rewrite() {
  WorkingCopyPlace place = copy_;
  place.state = WorkingCopyState::kRewritten;
  STAGEFS_RETURN_IF_ERROR(NoteClosed(place));
  closed_ = false;
  until_last_ = true;
  part_waits_ = copy_.closed.content.has_value();
  part_is_staged_ = false;
  ++changes_;
  return {};
}

Status OpenFile::SyncClosed() {
  if (!closed_unsynced()) return {};
  STAGEFS_RETURN_IF_ERROR(SyncCopy());
  if (!copy_.closed.content && !copy_.closed.synced) {
    WorkingCopyPlace place = copy_;
    place.closed.synced = true;
    STAGEFS_RETURN_IF_ERROR(NoteClosed(place));
  }
  STAGEFS_RETURN_IF_ERROR(env_.copies.SyncPlace(copy_));
  closed_synced_ = true;
  closed_synced_at_ = Clock::now();
  return {};
}

Status OpenFile::PutAside() {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, env_.repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto info, reader->GetWorkspace(copy_.workspace));
  if (!info) return Error(ErrorCode::kStale, "the workspace was deleted");
  STAGEFS_RETURN_IF_ERROR(SyncCopy());
  STAGEFS_RETURN_IF_ERROR(AddRecovered(env_.repository, info->uid, copy_.path, copy_.file));
  copy_fd_.reset();
  RemoveCopyName();
  detached_ = true;
  return {};
}

Status OpenFile::Stage(const Sink& sink, const VersionSink& version_sink, const Placer& placer,
                       std::chrono::milliseconds wait_max) {
  if (detached_) return {};
  if (refused_) return *refused_;
  if (!dirty_ && !fresh_) return {};
  StageHow how;
  how.origin = Origin::kWritten;
  how.mtime_ns = mtime_ns_;
  how.mode = *mode_.Lock();
  how.keep_mtime = true;
  how.grown_from = grown_from_;
  how.wait_max = wait_max;
  if (closed_) how.only_over = copy_.closed.over;
  Result<Entry> staged = Error(ErrorCode::kIo, "not staged");
  if (fresh_ && !copy_fd_) {
    STAGEFS_ASSIGN_OR_RETURN(const VersionInfo empty, env_.repository.FindVersion(ToHex(EmptyContent().sha256)));
    staged = version_sink(empty.id, how);
  } else if (clone_version_ != 0 && size_bytes_ == clone_version_bytes_) {
    staged = version_sink(clone_version_, how);
    // What it was cloned from may have left the store, as what was written on does: its bytes are open here.
    const bool is_gone = !staged && (staged.error().code() == ErrorCode::kNotFound ||
                                     staged.error().code() == ErrorCode::kStale);
    if (is_gone) {
      STAGEFS_RETURN_IF_ERROR(MakeWritable(placer));
      staged = StageCopy(sink, how);
    }
  } else {
    STAGEFS_RETURN_IF_ERROR(MakeWritable(placer));
    staged = StageCopy(sink, how);
  }
  if (!staged) {
    const ErrorCode code = staged.error().code();
    const bool another_time =
        code == ErrorCode::kInterrupted || (code == ErrorCode::kBusy && wait_max < Turn::kWaitMax) ||
        (closed_ && (code == ErrorCode::kBusy || code == ErrorCode::kConflict || IsTakenByOthers(code)));
    if (another_time) return staged.error();
    // Kept as a file of its own, whatever it was until now, so that nobody's bytes are lost.
    if (!copy_fd_ && !fresh_) (void)MakeWritable(placer);
    return Refuse(staged.error());
  }
  entry_ = *staged;
  size_bytes_ = entry_.size_bytes;
  mtime_ns_ = entry_.mtime_ns;
  clone_version_ = 0;
  clone_fd_.reset();
  version_fd_.reset();
  dirty_ = fresh_ = false;
  grown_from_ = grown_bytes_ = 0;
  if (hashed_bytes_ != size_bytes_) hasher_.reset();
  return {};
}

Result<Entry> OpenFile::StageFirstBytes(const Sink& sink, std::chrono::milliseconds wait_max) {
  const ClosedCopy& closed = copy_.closed;
  STAGEFS_ASSIGN_OR_RETURN(IncomingFile file, env_.repository.NewIncoming());
  FirstBytes bytes(copy_fd_->get(), closed.size_bytes);
  STAGEFS_RETURN_IF_ERROR(file.WriteFrom(bytes));
  const ContentId content = file.Finish();
  if (content.sha256 != *closed.content) return Error(ErrorCode::kCorrupt, copy_.file + " is not what was closed");
  file.Close();
  StageHow how;
  how.origin = Origin::kWritten;
  how.mtime_ns = closed.mtime_ns;
  how.mode = closed.mode;
  how.keep_mtime = true;
  how.only_over = closed.over;
  how.wait_max = wait_max;
  auto staged = sink(file.path(), content, closed.size_bytes, how);
  if (staged) {
    file.Release();
  } else if (IsTakenByOthers(staged.error().code())) {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, env_.repository.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(const auto info, reader->GetWorkspace(copy_.workspace));
    if (!info) return Error(ErrorCode::kStale, "the workspace was deleted");
    STAGEFS_RETURN_IF_ERROR(AddRecovered(env_.repository, info->uid, copy_.path, file.path()));
    file.Release();
    return entry_;
  }
  return staged;
}

// The copy goes on as one that nobody closed, once its place promises nothing that is not staged as durably.
Status OpenFile::StageClosedPart(const Sink& sink, std::chrono::milliseconds wait_max) {
  if (detached_ || !part_waits_ || !copy_fd_) return {};
  if (!part_is_staged_) {
    STAGEFS_ASSIGN_OR_RETURN(const Entry staged, StageFirstBytes(sink, wait_max));
    entry_ = staged;
    grown_from_ = staged.version;
    part_is_staged_ = true;
  }
  if (kept_) STAGEFS_RETURN_IF_ERROR(env_.copies.Keep(copy_, entry_.version));
  else if (env_.copies.MayBeDurable(copy_)) STAGEFS_RETURN_IF_ERROR(env_.repository.SyncAll());
  part_waits_ = part_is_staged_ = false;
  if (writes_on()) NoteCopy(WorkingCopyState::kWriting);
  return {};
}

Status OpenFile::HashCopy() {
  if (hashed_) return {};
  if (!hasher_ || hashed_bytes_ != size_bytes_) {
    ContentHasher all;
    STAGEFS_ASSIGN_OR_RETURN(hashed_bytes_, HashInto(copy_fd_->get(), &all));
    hasher_ = std::move(all);  // It goes on with what is appended.
  }
  hashed_ = {hasher_->Finish(), hashed_bytes_};
  return {};
}

Result<Entry> OpenFile::StageCopy(const Sink& sink, const StageHow& how) {
  STAGEFS_RETURN_IF_ERROR(HashCopy());
  // Nobody may hold it open for writing when it enters the store. Readers that got the descriptor a moment
  // ago only read.
  copy_fd_.reset();
  // What fsync() kept, or what was closed a while ago, stays until what replaces it is durable, too.
  const bool durable = promised();
  const std::string file = durable ? copy_.file + ".staged" : copy_.file;
  Result<Entry> staged = Error(ErrorCode::kIo, "not staged");
  if (durable && link(copy_.file.c_str(), file.c_str()) != 0) staged = ErrnoError("link " + copy_.file);
  else staged = sink(file, hashed_->id, hashed_->size_bytes, how);
  if (!staged) {
    if (durable) unlink(file.c_str());
    const int fd = open(copy_.file.c_str(), O_RDWR | O_CLOEXEC);
    if (fd >= 0) copy_fd_ = std::make_shared<SharedFd>(fd);
    return staged;
  }
  if (durable) {
    env_.copies.RemoveStaged(copy_, kept_);
  } else {
    if (env_.copies.MayBeDurable(copy_)) (void)env_.copies.SyncNames();  // A part of it was closed once.
    (void)env_.copies.Forget(copy_, kept_);
  }
  copy_.state = WorkingCopyState::kWriting;
  kept_ = closed_ = until_last_ = part_waits_ = false;
  hashed_.reset();
  return staged;
}

void OpenFile::Moved(const Placer& placer) {
  if (!copy_fd_) return;
  const auto place = placer();
  if (!place) return;
  copy_.slot = place->slot;
  copy_.path = place->path;
  (void)env_.copies.Note(copy_);
}

void OpenFile::KeepForNextStart(const Placer& placer) {
  if (detached_ || !(dirty_ || refused_)) return;
  if (closed_ && SyncClosed()) {
    copy_fd_.reset();  // The next start stages it.
    return;
  }
  // From here on the file belongs to the next start: to be staged, or, where the disk does not take that, recovered.
  (void)Sync(placer);
  copy_fd_.reset();
}

}  // namespace stagefs
