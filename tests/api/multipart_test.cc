#include "api/wire/multipart.h"

#include "api/wire/read_text.h"

#include "tests/catch.h"
#include "tests/scene.h"
#include "stagefs/byte_source.h"

namespace stagefs::test {
namespace {

// "hello" and "world", each a gzip member.
const std::string kHello(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00",
    25);
constexpr char kType[] = "multipart/form-data; boundary=XYZ";

std::string PartOf(const std::string& disposition, const std::string& type, const std::string& bytes) {
  return "--XYZ\r\nContent-Disposition: form-data; " + disposition + "\r\n" +
         (type.empty() ? "" : "Content-Type: " + type + "\r\n") + "\r\n" + bytes + "\r\n";
}

// "NAME|FILENAME|BYTES" of each part, or the error.
Result<Lines> Parse(const std::string& body, uint64_t limit = 1000, const std::string& type = kType) {
  const auto source = NewStringSource(body);
  Lines lines;
  const Status read = ReadMultipart(*source, type, limit, [&](const Part& part, ByteSource& bytes) -> Status {
    STAGEFS_ASSIGN_OR_RETURN(const std::string text, ReadText(bytes, 1'000'000));
    lines.push_back(part.name + '|' + part.filename + '|' + text);
    return {};
  });
  if (!read) return read.error();
  return lines;
}

// Gives `step` bytes at a time.
class Steps : public ByteSource {
 public:
  Steps(std::string_view text, size_t step) : text_(text), step_(step) {}
  Result<size_t> Read(void* data, size_t size_bytes) override {
    const size_t got = text_.copy(static_cast<char*>(data), std::min(size_bytes, step_));
    text_.remove_prefix(got);
    return got;
  }

 private:
  std::string_view text_;
  const size_t step_;
};

}  // namespace

TEST_CASE("Multipart: names, file names and bytes", "[http][multipart]") {
  const std::string binary("a\r\n--XY\0\n--X\r\n\r\n", 16);
  const std::string body = PartOf("name=\"file[]\"; filename=\"d/ä \\\"q\\\" ;x.txt\"", "", binary) +
                           PartOf("name=message", "", "") +
                           PartOf("name=\"f\"; filename=\"z\"", "application/gzip", kHello + kHello) +
                           "--XYZ--\r\n";
  CHECK(Value(Parse(body)) == Lines{"file[]|d/ä \"q\" ;x.txt|" + binary, "message||", "f|z|hellohello"});
}

TEST_CASE("Multipart: what is unread is passed over", "[http][multipart]") {
  const std::string body =
      PartOf("name=a", "", std::string(100'000, 'x')) + PartOf("name=b", "", "y") + "--XYZ--";
  const auto source = NewStringSource(body);
  Lines names;
  Ok(ReadMultipart(*source, kType, 10, [&](const Part& part, ByteSource&) -> Status {
    names.push_back(part.name);
    return {};
  }));
  CHECK(names == Lines{"a", "b"});
}

TEST_CASE("Multipart: boundaries, and what only looks like one", "[http][multipart]") {
  const std::string head = "--XYZ\r\nContent-Disposition: form-data; name=a\r\n\r\n";
  const std::string tail = "\r\n--XYZ--";
  const Lines looks = {"",
                       "\n",
                       "\r\n",
                       "\r\n--",
                       "--XYZ",
                       "--XYZ--",
                       "\n--XY",
                       "\r\n--XYZa",
                       "\r\n--XYZ -",
                       "\r\n--XYZ-\r\n",
                       "\r\n--\r\n--",
                       "\r\r\n--XYZ\r",
                       std::string(200'000, '\n')};
  for (const std::string& bytes : looks) {
    INFO(bytes.substr(0, 100));
    CHECK(Value(Parse(head + bytes + tail, 1'000'000)) == Lines{"a||" + bytes});
  }
  // What comes before and after; lines of LF; a boundary in quotes.
  CHECK(Value(Parse("before\r\n--XY\r\n" + head + "b" + tail + "\r\n--XYZ\r\nafter")) == Lines{"a||b"});
  CHECK(Value(Parse("--XYZ\nContent-Disposition: form-data; name=a\n\nb\n\n--XYZ--\n")) == Lines{"a||b\n"});
  CHECK(Value(Parse(head + "b" + tail, 1000, "multipart/form-data; x=y; Boundary=\"XYZ\"")) == Lines{"a||b"});
}

TEST_CASE("Multipart: however the body arrives, the parts are the same", "[http][multipart]") {
  const std::string body = "\r\n" + PartOf("name=a; filename=\"b\"", "application/gzip", kHello) +
                           PartOf("name=c", "", "\r\n--XY\r\n--XYZ-") + PartOf("name=d", "", "") +
                           "--XYZ--\r\n";
  for (size_t step = 1; step < 40; ++step) {
    Steps source(body, step);
    Lines lines;
    Ok(ReadMultipart(source, kType, 1000, [&](const Part& part, ByteSource& bytes) -> Status {
      STAGEFS_ASSIGN_OR_RETURN(const std::string text, ReadText(bytes, 1000));
      lines.push_back(part.name + '|' + part.filename + '|' + text);
      return {};
    }));
    CHECK(lines == Lines{"a|b|hello", "c||\r\n--XY\r\n--XYZ-", "d||"});
  }
}

TEST_CASE("Multipart: headers", "[http][multipart]") {
  const auto one = [](const std::string& headers) {
    return Parse("--XYZ\r\n" + headers + "\r\n\r\nx\r\n--XYZ--");
  };
  const std::string disposition = "content-disposition: form-data; name=\"a\"; filename=\"f \"";
  CHECK(Value(one(disposition)) == Lines{"a|f |x"});
  CHECK(Value(one("Content-Disposition: form-data;\r\n name=a;\r\n\tfilename=b")) == Lines{"a|b|x"});
  CHECK(Value(one("no colon\r\nX-Other: y\r\n" + disposition +
                  "\r\nContent-Disposition: form-data; name=z")) == Lines{"a|f |x"});
  CHECK(Value(one("Content-Disposition: form-data; name=a; filename*=UTF-8''b; filename=\"%22\"")) ==
        Lines{"a|%22|x"});
  CHECK(Value(one("X: y")) == Lines{"||x"});
  CHECK(one(disposition + "\rX: y").error().code() == ErrorCode::kInvalidArgument);
  CHECK_FALSE(one("X: " + std::string(kPartHeaderBytesMax, 'y')));
  std::string many;
  while (many.size() <= 2 * kPartHeaderBytesMax) many += "X: y\r\n";
  CHECK_FALSE(one(many + disposition));
}

TEST_CASE("Multipart: refusals", "[http][multipart]") {
  const std::string whole = PartOf("name=a", "", "12345") + "--XYZ--\r\n";
  CHECK(Value(Parse(whole, 5)).size() == 1);
  CHECK(Parse(whole, 4).error().code() == ErrorCode::kTooLarge);
  for (const std::string& body : {whole.substr(0, whole.size() - 12), std::string("nothing"), std::string(),
                                  PartOf("name=a", "application/gzip", kHello.substr(0, 20)) + "--XYZ--",
                                  PartOf("name=a", "application/gzip", "not gzip") + "--XYZ--"}) {
    INFO(body);
    const auto read = Parse(body);
    REQUIRE_FALSE(read);
    CHECK(read.error().code() == ErrorCode::kInvalidArgument);
  }
  CHECK_FALSE(Parse(whole, 100, "multipart/form-data"));
  CHECK_FALSE(Parse(whole, 100, "multipart/form-data; boundary=" + std::string(kBoundaryBytesMax + 1, 'x')));
  CHECK_FALSE(Parse("--XYZ--\r\n"));
  std::string damaged = kHello;
  damaged[18] ^= 1;  // The checksum.
  CHECK_FALSE(Parse(PartOf("name=a", "application/gzip", damaged) + "--XYZ--"));
  CHECK(Parse(PartOf("name=a", "application/gzip", kHello) + "--XYZ--", 4).error().code() ==
        ErrorCode::kTooLarge);
}

}  // namespace stagefs::test
