#include "file_handle.h"

#include <unistd.h>

#include <algorithm>

#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"

namespace stagefs {

FileHandle::~FileHandle() = default;

const std::shared_ptr<OpenFile>& FileHandle::file() const {
  static const std::shared_ptr<OpenFile> kNone;
  return kNone;
}

Result<size_t> FileHandle::Write(const char*, size_t, off_t) {
  return Error(ErrorCode::kPermission, "nothing can be written here");
}

Status FileHandle::Allocate(int, off_t, off_t) { return Error(ErrorCode::kUnsupported, "not here"); }

Result<off_t> FileHandle::Seek(off_t offset, int whence) {
  STAGEFS_ASSIGN_OR_RETURN(const ReadAnswer answer, Read(0, 0));
  if (!answer.file) return Error(ErrorCode::kUnsupported, "not here");
  // Every read and write names its offset, so moving the shared one disturbs nobody.
  const off_t found = lseek(answer.file->get(), offset, whence);
  if (found < 0) return ErrnoError("seek");
  const auto end = static_cast<off_t>(std::min<uint64_t>(answer.size_bytes, INT64_MAX));
  if (found < end) return found;
  // There is a hole at the end of each file, and nothing beyond.
  if (whence == SEEK_HOLE && offset < end) return end;
  return Error(ErrorCode::kNotFound, "seek: beyond the end");
}

Result<uint64_t> FileHandle::CopyFrom(FileHandle&, off_t, off_t, size_t) {
  return Error(ErrorCode::kUnsupported, "not here");
}

Result<CopySource> FileHandle::ForCopying() { return Error(ErrorCode::kUnsupported, "not here"); }

Result<ReadAnswer> OpenFileHandle::Read(size_t size_bytes, off_t) {
  ReadAnswer answer;
  {
    STAGEFS_ASSIGN_OR_RETURN(const FileLock lock, LockInterruptibly(file_->mutex()));
    STAGEFS_ASSIGN_OR_RETURN(answer.file, file_->ForReading());
    answer.size_bytes = file_->shown().size_bytes;
  }
  if (answer.file) MountCounters::Add(files_.counters().bytes_read, static_cast<int64_t>(size_bytes));
  return answer;
}

Result<size_t> OpenFileHandle::Write(const char* data, size_t size_bytes, off_t offset) {
  MountCounters::Add(files_.counters().bytes_written, static_cast<int64_t>(size_bytes));
  if (flushed_) goes_on_ = true;
  STAGEFS_ASSIGN_OR_RETURN(const FileLock lock, LockInterruptibly(file_->mutex()));
  STAGEFS_RETURN_IF_ERROR(files_.BeforeWriting(node(), *file_, static_cast<uint64_t>(offset)));
  const Status written = file_->Write(data, size_bytes, static_cast<uint64_t>(offset), files_.PlacerOf(node()));
  if (written) return size_bytes;
  // What others closed does not share the fate of this.
  if (file_->refused()) (void)files_.StageIfClosed(node(), *file_);
  return written.error();
}

Status OpenFileHandle::Flush(bool inherited) {
  if (!writes_) return {};
  const Status flushed = files_.Flush(node(), *file_, /*goes_on=*/inherited && goes_on_);
  flushed_ = true;
  return flushed;
}

Status OpenFileHandle::Sync() {
  STAGEFS_ASSIGN_OR_RETURN(const FileLock lock, LockInterruptibly(file_->mutex()));
  return file_->Sync(files_.PlacerOf(node()));
}

Status OpenFileHandle::Allocate(int mode, off_t offset, off_t size_bytes) {
  STAGEFS_ASSIGN_OR_RETURN(const FileLock lock, LockInterruptibly(file_->mutex()));
  STAGEFS_RETURN_IF_ERROR(files_.BeforeWriting(node(), *file_, static_cast<uint64_t>(offset)));
  return file_->Allocate(mode, static_cast<uint64_t>(offset), static_cast<uint64_t>(size_bytes),
                         files_.PlacerOf(node()));
}

Result<uint64_t> OpenFileHandle::CopyFrom(FileHandle& in, off_t offset_in, off_t offset_out, size_t size_bytes) {
  if (in.file() == file_) return Error(ErrorCode::kUnsupported, "within one file");
  STAGEFS_ASSIGN_OR_RETURN(const CopySource source, in.ForCopying());
  STAGEFS_ASSIGN_OR_RETURN(const FileLock lock, LockInterruptibly(file_->mutex()));
  STAGEFS_RETURN_IF_ERROR(files_.BeforeWriting(node(), *file_, static_cast<uint64_t>(offset_out)));
  return file_->CopyFrom(source, static_cast<uint64_t>(offset_in), static_cast<uint64_t>(offset_out), size_bytes,
                         files_.PlacerOf(node()));
}

Result<CopySource> OpenFileHandle::ForCopying() {
  STAGEFS_ASSIGN_OR_RETURN(const FileLock lock, LockInterruptibly(file_->mutex()));
  if (!file_->waits_for_last()) STAGEFS_RETURN_IF_ERROR(files_.StageIfClosed(node(), *file_));
  CopySource source;
  STAGEFS_ASSIGN_OR_RETURN(source.file, file_->ForReading());
  source.size_bytes = file_->shown().size_bytes;
  if (file_->is_version()) source.version = file_->version();
  return source;
}

Result<ReadAnswer> BytesHandle::Read(size_t size_bytes, off_t) {
  MountCounters::Add(counters_.bytes_read, static_cast<int64_t>(size_bytes));
  return ReadAnswer{{}, source_.file};
}

Result<std::string> StreamedHandle::ReadNext(Stream& stream, size_t size_bytes) {
  std::string bytes(size_bytes, '\0');
  size_t filled = 0;
  while (filled < size_bytes) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, stream.source->Read(bytes.data() + filled, size_bytes - filled));
    if (got == 0) break;
    filled += got;
  }
  bytes.resize(filled);
  stream.at += static_cast<off_t>(filled);
  return bytes;
}

Result<ReadAnswer> StreamedHandle::Read(size_t size_bytes, off_t offset) {
  constexpr off_t kSkipBytes = 1 << 20;
  auto stream = stream_.Lock();
  if (!stream->source || offset < stream->at) {
    STAGEFS_ASSIGN_OR_RETURN(stream->source, make_());
    stream->at = 0;
  }
  while (stream->at < offset) {
    const auto skip = static_cast<size_t>(std::min(offset - stream->at, kSkipBytes));
    STAGEFS_ASSIGN_OR_RETURN(const std::string skipped, ReadNext(*stream, skip));
    if (skipped.empty()) return ReadAnswer();
  }
  ReadAnswer answer;
  STAGEFS_ASSIGN_OR_RETURN(answer.bytes, ReadNext(*stream, size_bytes));
  return answer;
}

Result<ReadAnswer> TextHandle::Read(size_t size_bytes, off_t offset) {
  ReadAnswer answer;
  if (static_cast<size_t>(offset) < text_.size()) {
    answer.bytes = text_.substr(static_cast<size_t>(offset), size_bytes);
  }
  return answer;
}

}  // namespace stagefs
