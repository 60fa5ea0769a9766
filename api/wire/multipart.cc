#include "multipart.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include "header_value.h"
#include "stagefs/compression.h"

namespace stagefs {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
constexpr char kFailed[] = "Failed to read request payload";

Error Malformed(const std::string& what) { return Error(ErrorCode::kInvalidArgument, kFailed + (": " + what)); }

// The body through one buffer. As a source it gives the bytes up to the next boundary.
class Parts : public ByteSource {
 public:
  Parts(ByteSource& body, const std::string& boundary) : body_(body), delimiter_("\n--" + boundary) {
    buffer_[end_++] = '\n';  // A boundary begins a line; the first line has none before it.
  }

  Result<size_t> Read(void* data, size_t size_bytes) override {
    while (content_ == 0) {
      if (at_boundary_) return 0;
      STAGEFS_RETURN_IF_ERROR(LookOn());
    }
    const size_t bytes = std::min(size_bytes, content_);
    std::memcpy(data, Here().data(), bytes);
    Pass(bytes);
    content_ -= bytes;
    return bytes;
  }

  // Whether another part follows; its headers come next.
  Result<bool> Next() {
    while (!at_boundary_) {
      Pass(content_);
      content_ = 0;
      STAGEFS_RETURN_IF_ERROR(LookOn());
    }
    at_boundary_ = false;
    return !last_;
  }

  // The next line, without its end.
  Result<std::string> Line() {
    size_t end = Here().find('\n');
    while (end == std::string_view::npos) {
      if (Here().size() > kPartHeaderBytesMax) return Malformed("a header is too long");
      STAGEFS_RETURN_IF_ERROR(Fill());
      end = Here().find('\n');
    }
    std::string line(Here().substr(0, end));
    Pass(end + 1);
    if (line.ends_with('\r')) line.pop_back();
    if (line.find('\r') != std::string::npos) return Malformed("a header has a CR in it");
    return line;
  }

 private:
  std::string_view Here() const { return {buffer_.get() + begin_, end_ - begin_}; }
  void Pass(size_t bytes) { begin_ += bytes; }

  // Finds out what comes next: bytes, or a boundary, which is passed; or reads more of the body.
  Status LookOn() {
    const std::string_view here = Here();
    const size_t found = here.find(delimiter_);
    if (found == std::string_view::npos) {
      // The last ones may begin a boundary, after a CR.
      if (here.size() <= delimiter_.size()) return Fill();
      content_ = here.size() - delimiter_.size();
      return {};
    }
    content_ = found > 0 && here[found - 1] == '\r' ? found - 1 : found;
    if (content_ > 0) return {};
    const std::string_view after = here.substr(found + delimiter_.size());
    const bool crlf = after.starts_with("\r\n");
    last_ = after.starts_with("--");
    if (last_ || crlf || after.starts_with('\n')) {
      at_boundary_ = begun_ = true;
      Pass(found + delimiter_.size() + (last_ || crlf ? 2 : 1));
      return {};
    }
    if (after.size() < 2) return Fill();
    content_ = found + 1;
    return {};
  }

  Status Fill() {
    std::memmove(buffer_.get(), Here().data(), Here().size());
    end_ -= begin_;
    begin_ = 0;
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, body_.Read(buffer_.get() + end_, kBufferBytes - end_));
    if (got == 0) return Malformed(begun_ ? "it ends within a part" : "no part where one must begin");
    end_ += got;
    return {};
  }

  ByteSource& body_;
  const std::string delimiter_;
  // Not filled with zeros first: most forms are short.
  const std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(kBufferBytes);
  size_t begin_ = 0, end_ = 0;  // What was read and not passed.
  size_t content_ = 0;          // How much of it are bytes of a part.
  bool begun_ = false;          // A boundary was passed.
  bool at_boundary_ = false;
  bool last_ = false;
};
static_assert(kBoundaryBytesMax + kPartHeaderBytesMax < kBufferBytes / 2);

// Fails once more than `left` bytes were read.
class LimitedSource : public ByteSource {
 public:
  LimitedSource(ByteSource& source, uint64_t* left) : source_(source), left_(*left) {}
  Result<size_t> Read(void* data, size_t size_bytes) override {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, source_.Read(data, size_bytes));
    if (got > left_) return Error(ErrorCode::kTooLarge, "the parts unpack to more than may be sent");
    left_ -= got;
    return got;
  }

 private:
  ByteSource& source_;
  uint64_t& left_;
};

struct PartHead {
  Part part;
  bool gzip = false;
};

Result<PartHead> ReadHead(Parts& parts) {
  std::string disposition, type;
  std::string* folded = nullptr;  // What a line that begins with a space goes on with.
  size_t bytes = 0;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const std::string line, parts.Line());
    if (line.empty()) break;
    bytes += line.size();
    if (bytes > kPartHeaderBytesMax) return Malformed("a part's headers are too long");
    if (line[0] == ' ' || line[0] == '\t') {
      if (folded != nullptr) *folded += line;
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string_view name = std::string_view(line).substr(0, colon);
    folded = SameInAnyCase(name, "content-disposition") ? &disposition
             : SameInAnyCase(name, "content-type")      ? &type
                                                        : nullptr;
    if (folded != nullptr && !folded->empty()) folded = nullptr;  // The first counts.
    if (folded != nullptr) *folded = line.substr(colon + 1);
  }
  const HeaderValue header = ParseHeaderValue(disposition);
  const std::string media = ParseHeaderValue(type).value;
  return PartHead{{header.Get("name"), header.Get("filename")},
                  SameInAnyCase(media.substr(0, media.find(' ')), "application/gzip")};
}

}  // namespace

Status ReadMultipart(ByteSource& body, const std::string& content_type, uint64_t unpacked_bytes_max,
                     const std::function<Status(const Part&, ByteSource&)>& visit) {
  const std::string boundary = ParseHeaderValue(content_type).Get("boundary");
  if (boundary.empty()) return Malformed("the content type names no boundary");
  if (boundary.size() > kBoundaryBytesMax) return Malformed("the boundary is too long");
  Parts parts(body, boundary);
  STAGEFS_ASSIGN_OR_RETURN(bool more, parts.Next());
  if (!more) return Malformed("no part where one must begin");
  for (size_t count = 0; more; ++count) {
    if (count == kPartsMax) {
      return Error(ErrorCode::kTooLarge, "more than " + std::to_string(kPartsMax) + " parts");
    }
    STAGEFS_ASSIGN_OR_RETURN(const PartHead head, ReadHead(parts));
    std::unique_ptr<ByteSource> unpacked;
    if (head.gzip) unpacked = NewUnpackedSource(static_cast<ByteSource&>(parts), Compression::kGzip, {}, kFailed);
    LimitedSource source(unpacked ? *unpacked : parts, &unpacked_bytes_max);
    STAGEFS_RETURN_IF_ERROR(visit(head.part, source));
    STAGEFS_ASSIGN_OR_RETURN(more, parts.Next());
  }
  return {};
}

}  // namespace stagefs
