#include "api/server/multipart.h"

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
    STAGEFS_ASSIGN_OR_RETURN(const std::string text, ReadText(bytes, 10'000));
    lines.push_back(part.name + '|' + part.filename + '|' + text);
    return {};
  });
  if (!read) return read.error();
  return lines;
}

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
  std::string damaged = kHello;
  damaged[18] ^= 1;  // The checksum.
  CHECK_FALSE(Parse(PartOf("name=a", "application/gzip", damaged) + "--XYZ--"));
  CHECK(Parse(PartOf("name=a", "application/gzip", kHello) + "--XYZ--", 4).error().code() ==
        ErrorCode::kTooLarge);
}

}  // namespace stagefs::test
