#include "archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <vector>

#include "stagefs/version_source.h"

namespace stagefs {
namespace {

constexpr size_t kBufferBytes = 256 << 10;
constexpr int64_t kSecondNs = 1'000'000'000;

}  // namespace

struct ArchiveWriter::State {
  archive* out = archive_write_new();
  ~State() { archive_write_free(out); }
  Error Trouble() const {
    const char* what = archive_error_string(out);
    return Error(archive_errno(out) == ENOSPC ? ErrorCode::kNoSpace : ErrorCode::kIo,
                 std::string("write an archive: ") + (what != nullptr ? what : "unknown trouble"));
  }
};

ArchiveWriter::ArchiveWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
ArchiveWriter::~ArchiveWriter() = default;

Result<std::unique_ptr<ArchiveWriter>> ArchiveWriter::Open(int fd, ArchiveFormat format) {
  auto state = std::make_unique<State>();
  int result = ARCHIVE_OK;
  if (format == ArchiveFormat::kZip) {
    result = archive_write_set_format_zip(state->out);
  } else {
    result = archive_write_set_format_pax_restricted(state->out);
    if (result == ARCHIVE_OK) result = archive_write_add_filter_gzip(state->out);
  }
  // Names are bytes; as UTF-8 they stay as they are.
  if (result == ARCHIVE_OK) (void)archive_write_set_options(state->out, "hdrcharset=UTF-8");
  if (result == ARCHIVE_OK) result = archive_write_open_fd(state->out, fd);
  if (result != ARCHIVE_OK) return state->Trouble();
  return std::unique_ptr<ArchiveWriter>(new ArchiveWriter(std::move(state)));
}

Status ArchiveWriter::Add(const std::string& path, int64_t mtime_ns, const VersionReader& bytes) {
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(),
                                                                            &archive_entry_free);
  archive_entry_set_pathname(entry.get(), path.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  archive_entry_set_size(entry.get(), static_cast<int64_t>(bytes.size_bytes()));
  archive_entry_set_mtime(entry.get(), mtime_ns / kSecondNs, mtime_ns % kSecondNs);
  if (archive_write_header(state_->out, entry.get()) < ARCHIVE_WARN) return state_->Trouble();
  std::vector<char> buffer(kBufferBytes);
  for (uint64_t offset = 0; offset < bytes.size_bytes();) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, bytes.ReadAt(buffer.data(), buffer.size(), offset));
    if (got == 0) return Error(ErrorCode::kCorrupt, "a version is shorter than it was");
    if (archive_write_data(state_->out, buffer.data(), got) < 0) return state_->Trouble();
    offset += got;
  }
  return {};
}

Status ArchiveWriter::Finish() {
  if (archive_write_close(state_->out) != ARCHIVE_OK) return state_->Trouble();
  return {};
}

}  // namespace stagefs
