#include "archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <locale.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "stagefs/version_source.h"
#include "zip_path.h"

namespace stagefs {
namespace {

constexpr size_t kBufferBytes = 256 << 10;
constexpr int64_t kSecondNs = 1'000'000'000;

// While it lives, names are UTF-8 to the library on this thread, which takes them for the locale's.
class Utf8Names {
 public:
  Utf8Names() {
    static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    before_ = uselocale(utf8);
  }
  ~Utf8Names() { uselocale(before_); }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  locale_t before_;
};

class ArchiveSource : public ByteSource {
 public:
  explicit ArchiveSource(NextArchiveEntry next) : next_(std::move(next)), out_(archive_write_new()) {}
  ~ArchiveSource() override { archive_write_free(out_); }
  ArchiveSource(const ArchiveSource&) = delete;
  ArchiveSource& operator=(const ArchiveSource&) = delete;

  Status Open(ArchiveFormat format) {
    is_zip_ = format == ArchiveFormat::kZip;
    int result = is_zip_ ? archive_write_set_format_zip(out_) : archive_write_set_format_pax_restricted(out_);
    if (result == ARCHIVE_OK && !is_zip_) result = archive_write_add_filter_gzip(out_);
    const Utf8Names names;
    if (result == ARCHIVE_OK) (void)archive_write_set_options(out_, "hdrcharset=UTF-8");
    // What is written comes out at once, and nothing is added at the end.
    if (result == ARCHIVE_OK) result = archive_write_set_bytes_per_block(out_, 0);
    if (result == ARCHIVE_OK) result = archive_write_open(out_, this, nullptr, &ArchiveSource::Keep, nullptr);
    return result == ARCHIVE_OK ? Status() : Trouble();
  }

  Result<size_t> Read(void* data, size_t size_bytes) override {
    if (made_.size() - taken_ < size_bytes) {
      made_.erase(0, std::exchange(taken_, 0));
      while (made_.size() < size_bytes && !done_) STAGEFS_RETURN_IF_ERROR(Make());
    }
    const size_t size = std::min(size_bytes, made_.size() - taken_);
    std::memcpy(data, made_.data() + taken_, size);
    taken_ += size;
    return size;
  }

 private:
  static la_ssize_t Keep(archive*, void* self, const void* data, size_t size_bytes) {
    static_cast<ArchiveSource*>(self)->made_.append(static_cast<const char*>(data), size_bytes);
    return static_cast<la_ssize_t>(size_bytes);
  }

  // A piece of the archive: of an entry's bytes, the head of the next one, or the end.
  Status Make() {
    if (entry_) return MakeBytes();
    STAGEFS_ASSIGN_OR_RETURN(entry_, next_());
    if (entry_) return MakeHead();
    done_ = true;
    return archive_write_close(out_) == ARCHIVE_OK ? Status() : Trouble();
  }

  Status MakeHead() {
    offset_ = 0;
    const Utf8Names names;
    const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> head(archive_entry_new(),
                                                                             &archive_entry_free);
    archive_entry_set_pathname(head.get(), (is_zip_ ? ZipPath(entry_->path) : entry_->path).c_str());
    archive_entry_set_filetype(head.get(), AE_IFREG);
    archive_entry_set_perm(head.get(), entry_->executable ? 0755 : 0644);
    archive_entry_set_size(head.get(), static_cast<int64_t>(entry_->bytes->size_bytes()));
    archive_entry_set_mtime(head.get(), entry_->mtime_ns / kSecondNs, entry_->mtime_ns % kSecondNs);
    return archive_write_header(out_, head.get()) < ARCHIVE_WARN ? Trouble() : Status();
  }

  Status MakeBytes() {
    if (offset_ == entry_->bytes->size_bytes()) {
      entry_.reset();
      return {};
    }
    buffer_.resize(kBufferBytes);
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, entry_->bytes->ReadAt(buffer_.data(), buffer_.size(), offset_));
    if (got == 0) return Error(ErrorCode::kCorrupt, "a version is shorter than it was");
    offset_ += got;
    return archive_write_data(out_, buffer_.data(), got) < 0 ? Trouble() : Status();
  }

  Status Trouble() const {
    const char* what = archive_error_string(out_);
    return Error(ErrorCode::kIo, std::string("write an archive: ") + (what != nullptr ? what : "unknown trouble"));
  }

  const NextArchiveEntry next_;
  archive* const out_;
  bool is_zip_ = false;
  std::optional<ArchiveEntry> entry_;  // Whose bytes are being written, from offset_ on.
  uint64_t offset_ = 0;
  std::vector<char> buffer_;
  std::string made_;  // Not read yet from taken_ on.
  size_t taken_ = 0;
  bool done_ = false;
};

}  // namespace

Result<std::unique_ptr<ByteSource>> NewArchiveSource(ArchiveFormat format, NextArchiveEntry next) {
  auto source = std::make_unique<ArchiveSource>(std::move(next));
  STAGEFS_RETURN_IF_ERROR(source->Open(format));
  return std::unique_ptr<ByteSource>(std::move(source));
}

}  // namespace stagefs
