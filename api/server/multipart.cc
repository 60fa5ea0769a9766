#include "multipart.h"

#include <Poco/Exception.h>
#include <Poco/Net/MessageHeader.h>
#include <Poco/Net/MultipartReader.h>
#include <Poco/Net/NameValueCollection.h>
#include <zlib.h>

#include <algorithm>
#include <istream>
#include <limits>
#include <memory>
#include <streambuf>
#include <utility>

#include "stagefs/byte_source.h"

namespace stagefs {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
// Not filled with zeros first: a form may have many parts, each with a few bytes.
using Buffer = std::unique_ptr<char[]>;
Buffer NewBuffer() { return std::make_unique_for_overwrite<char[]>(kBufferBytes); }

constexpr std::string_view kGzipMagic = "\x1f\x8b";

// A source as the library reads: an istream. It keeps the source's error.
class SourceBuffer : public std::streambuf {
 public:
  explicit SourceBuffer(ByteSource& source) : source_(source) {}
  const Status& trouble() const { return trouble_; }

 protected:
  int_type underflow() override {
    const auto got = source_.Read(buffer_.get(), kBufferBytes);
    if (!got) trouble_ = got.error();
    if (!got || *got == 0) return traits_type::eof();
    setg(buffer_.get(), buffer_.get(), buffer_.get() + *got);
    return traits_type::to_int_type(buffer_[0]);
  }

 private:
  ByteSource& source_;
  const Buffer buffer_ = NewBuffer();
  Status trouble_;
};

Error Malformed(const std::string& what) {
  return Error(ErrorCode::kInvalidArgument, "Failed to read request payload: " + what);
}

// An istream as core reads.
class StreamSource : public ByteSource {
 public:
  explicit StreamSource(std::istream& stream) : stream_(stream) {}
  Result<size_t> Read(void* data, size_t size_bytes) override {
    stream_.read(static_cast<char*>(data), static_cast<std::streamsize>(size_bytes));
    if (stream_.bad()) return Malformed("it cannot be read");
    return static_cast<size_t>(stream_.gcount());
  }

 private:
  std::istream& stream_;
};

// The content of gzip data, one member or several. What ends before the checksum is an error.
class GunzipSource : public ByteSource {
 public:
  explicit GunzipSource(ByteSource& packed) : packed_(packed) {
    constexpr int kGzipOnly = 15 + 16;
    ready_ = inflateInit2(&zlib_, kGzipOnly) == Z_OK;
  }
  ~GunzipSource() override { inflateEnd(&zlib_); }
  GunzipSource(const GunzipSource&) = delete;
  GunzipSource& operator=(const GunzipSource&) = delete;

  Result<size_t> Read(void* data, size_t size_bytes) override {
    if (!ready_) return Error(ErrorCode::kIo, "zlib does not start");
    zlib_.next_out = static_cast<Bytef*>(data);
    zlib_.avail_out = static_cast<uInt>(size_bytes);
    while (zlib_.avail_out > 0) {
      if (zlib_.avail_in == 0) {
        STAGEFS_ASSIGN_OR_RETURN(const size_t got, packed_.Read(buffer_.get(), kBufferBytes));
        if (got == 0 && !between_members_) return Malformed("gzip data ends too early");
        if (got == 0) break;
        zlib_.next_in = reinterpret_cast<Bytef*>(buffer_.get());
        zlib_.avail_in = static_cast<uInt>(got);
      }
      if (std::exchange(between_members_, false)) inflateReset(&zlib_);
      const int result = inflate(&zlib_, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
        return Malformed("gzip data is broken");
      }
      between_members_ = result == Z_STREAM_END;
    }
    return size_bytes - zlib_.avail_out;
  }

 private:
  ByteSource& packed_;
  const Buffer buffer_ = NewBuffer();
  z_stream zlib_{};
  bool ready_ = false;
  bool between_members_ = false;
};

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

Status VisitPart(std::istream& bytes, const Poco::Net::MessageHeader& header, uint64_t* left,
                 const std::function<Status(const Part&, ByteSource&)>& visit) {
  std::string disposition;
  Poco::Net::NameValueCollection parameters;
  Poco::Net::MessageHeader::splitParameters(header.get("Content-Disposition", ""), disposition, parameters);
  const Part part{parameters.get("name", ""), parameters.get("filename", "")};
  std::string type = header.get("Content-Type", "");
  type = type.substr(0, type.find_first_of("; "));
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  StreamSource raw(bytes);
  if (type != "application/gzip") {
    LimitedSource source(raw, left);
    return visit(part, source);
  }
  GunzipSource unpacked(raw);
  LimitedSource source(unpacked, left);
  return visit(part, source);
}

Status ReadParts(std::istream& stream, const std::string& boundary, uint64_t left,
                 const std::function<Status(const Part&, ByteSource&)>& visit) {
  Poco::Net::MultipartReader reader(stream, boundary);
  for (size_t count = 0; reader.hasNextPart(); ++count) {
    if (count == kPartsMax) {
      return Error(ErrorCode::kTooLarge, "more than " + std::to_string(kPartsMax) + " parts");
    }
    Poco::Net::MessageHeader header;
    try {
      reader.nextPart(header);
    } catch (const Poco::Exception&) {
      return Malformed("no part where one must begin");
    }
    std::istream& bytes = reader.stream();
    STAGEFS_RETURN_IF_ERROR(VisitPart(bytes, header, &left, visit));
    // Asked again at its end, the library would read on into the next part.
    if (!bytes.eof()) bytes.ignore(std::numeric_limits<std::streamsize>::max());
    if (!reader.hasNextPart() && !dynamic_cast<Poco::Net::MultipartInputStream&>(bytes).lastPart()) {
      return Malformed("it ends within a part");
    }
  }
  return {};
}

}  // namespace

Status ReadMultipart(RewindableSource& body, const std::string& content_type, uint64_t unpacked_bytes_max,
                     const std::function<Status(const Part&, ByteSource&)>& visit) {
  SourceBuffer buffer(body);
  std::istream stream(&buffer);
  std::string type;
  Poco::Net::NameValueCollection parameters;
  Poco::Net::MessageHeader::splitParameters(content_type, type, parameters);
  const std::string boundary = parameters.get("boundary", "");
  if (boundary.empty()) return Malformed("the content type names no boundary");
  Status read;
  try {
    read = ReadParts(stream, boundary, unpacked_bytes_max, visit);
  } catch (const std::exception& error) {
    read = Malformed(error.what());
  }
  return buffer.trouble() ? read : buffer.trouble();
}

Result<std::string> ReadText(ByteSource& source, size_t bytes_max) {
  std::string text;
  const Buffer buffer = NewBuffer();
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(buffer.get(), kBufferBytes));
    if (got == 0) return text;
    text.append(buffer.get(), got);
    if (text.size() > bytes_max) {
      return Error(ErrorCode::kTooLarge, "more than " + std::to_string(bytes_max) + " bytes");
    }
  }
}

Result<std::string> ReadMaybeGzip(ByteSource& source, size_t bytes_max) {
  auto text = ReadText(source, bytes_max);
  if (!text || !text->starts_with(kGzipMagic)) return text;
  const auto packed = NewStringSource(*text);
  GunzipSource unpacked(*packed);
  return ReadText(unpacked, bytes_max);
}

}  // namespace stagefs
