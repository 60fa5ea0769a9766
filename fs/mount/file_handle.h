// What the kernel has open: one handle for each open().
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "open_files.h"
#include "shared_fd.h"
#include "stagefs/byte_source.h"
#include "stagefs/guarded.h"

namespace stagefs {

// Safe for concurrent use. Whoever takes it from the kernel calls Release() first; a handle that goes without it, as
// all do when a mount ends under open files, gives nothing back.
class FileHandle {
 public:
  FileHandle(Repository& repository, std::shared_ptr<Node> node) : repository_(repository), node_(std::move(node)) {}
  virtual ~FileHandle();

  const std::shared_ptr<Node>& node() const { return node_; }
  // As FUSE names it. Set before anybody else has the handle.
  pid_t opened_by = 0;
  virtual bool writes() const { return false; }
  // Of files of the tree and the inbox; nullptr for others.
  virtual const std::shared_ptr<OpenFile>& file() const;

  virtual Result<ReadAnswer> Read(size_t size_bytes, off_t offset) = 0;
  // kPermission where nothing can be written.
  virtual Result<size_t> Write(const char* data, size_t size_bytes, off_t offset);
  // A close(), by whoever opened it or by a process that inherited it.
  virtual Status Flush(bool /*inherited*/ = false) { return {}; }
  virtual void Release() {}
  virtual Status Sync() { return repository_.SyncAll(); }
  // These are kUnsupported where there are no bytes on this machine.
  virtual Status Allocate(int mode, off_t offset, off_t size_bytes);
  Result<off_t> Seek(off_t offset, int whence);
  virtual Result<uint64_t> CopyFrom(FileHandle& in, off_t offset_in, off_t offset_out, size_t size_bytes);
  virtual Result<CopySource> ForCopying();

 protected:
  Repository& repository_;

 private:
  const std::shared_ptr<Node> node_;
};

// A file of the tree or the inbox, open here.
class OpenFileHandle : public FileHandle {
 public:
  // `files` must outlive it, and counts it in `file` already.
  OpenFileHandle(OpenFiles& files, std::shared_ptr<Node> node, std::shared_ptr<OpenFile> file, bool writes)
      : FileHandle(files.repository(), std::move(node)), files_(files), file_(std::move(file)), writes_(writes) {}

  bool writes() const override { return writes_; }
  const std::shared_ptr<OpenFile>& file() const override { return file_; }
  Result<ReadAnswer> Read(size_t size_bytes, off_t offset) override;
  Result<size_t> Write(const char* data, size_t size_bytes, off_t offset) override;
  Status Flush(bool inherited = false) override;
  void Release() override { files_.Release(node(), file_, writes_); }
  Status Sync() override;
  Status Allocate(int mode, off_t offset, off_t size_bytes) override;
  Result<uint64_t> CopyFrom(FileHandle& in, off_t offset_in, off_t offset_out, size_t size_bytes) override;
  Result<CopySource> ForCopying() override;

 private:
  OpenFiles& files_;
  const std::shared_ptr<OpenFile> file_;
  const bool writes_;
  std::atomic<bool> flushed_ = false, goes_on_ = false;  // It was written to after a close().
};

// Bytes that never change: versions, files of the base, recovered files.
class BytesHandle : public FileHandle {
 public:
  BytesHandle(OpenFiles& files, std::shared_ptr<Node> node, CopySource source)
      : FileHandle(files.repository(), std::move(node)), counters_(files.counters()), source_(std::move(source)) {}
  Result<ReadAnswer> Read(size_t size_bytes, off_t offset) override;
  Result<CopySource> ForCopying() override { return source_; }

 private:
  MountCounters& counters_;
  const CopySource source_;
};

// A text, as it was when it was opened.
// A text that is made while it is read, from its beginning to its end; whoever goes back has it made anew.
class StreamedHandle : public FileHandle {
 public:
  using Make = std::function<Result<std::unique_ptr<ByteSource>>()>;
  StreamedHandle(Repository& repository, std::shared_ptr<Node> node, Make make)
      : FileHandle(repository, std::move(node)), make_(std::move(make)) {}
  Result<ReadAnswer> Read(size_t size_bytes, off_t offset) override;

 private:
  struct Stream {
    std::unique_ptr<ByteSource> source;
    off_t at = 0;
  };
  static Result<std::string> ReadNext(Stream& stream, size_t size_bytes);

  const Make make_;
  Guarded<Stream> stream_;
};

class TextHandle : public FileHandle {
 public:
  TextHandle(Repository& repository, std::shared_ptr<Node> node, std::string text)
      : FileHandle(repository, std::move(node)), text_(std::move(text)) {}
  Result<ReadAnswer> Read(size_t size_bytes, off_t offset) override;

 private:
  const std::string text_;
};

}  // namespace stagefs
