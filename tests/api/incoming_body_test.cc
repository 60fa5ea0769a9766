#include "api/server/incoming_body.h"

#include "api/wire/read_text.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {

TEST_CASE("IncomingBody: short ones in memory, long ones in a file, too long ones nowhere",
          "[http][incoming_body]") {
  TempFolder folder;
  constexpr size_t kPiece = 300'000;
  for (const size_t pieces : {0, 1, 3, 4, 10}) {
    IncomingBody body;
    std::string sent;
    for (size_t i = 0; i < pieces; ++i) {
      const std::string piece(kPiece, static_cast<char>('a' + i));
      body.Add(piece.data(), piece.size(), folder.path(), 10 * kPiece);
      sent += piece;
    }
    CHECK(body.received() == sent.size());
    CHECK_FALSE(body.too_large());
    const auto source = Value(body.Finish());
    CHECK(Value(ReadText(*source, sent.size())) == sent);
    Ok(source->Rewind());
    CHECK(Value(ReadText(*source, sent.size())) == sent);
  }
  IncomingBody body;
  body.Add("12345", 5, folder.path(), 5);
  CHECK_FALSE(body.too_large());
  body.Add("6", 1, folder.path(), 5);
  CHECK(body.too_large());
  CHECK(body.received() == 6);
}

TEST_CASE("IncomingBody: a folder that takes no file is told at the end", "[http][incoming_body]") {
  IncomingBody body;
  const std::string piece(IncomingBody::kInMemoryMax, 'x');
  body.Add(piece.data(), piece.size(), "/nowhere/at/all", 10 * piece.size());
  body.Add(piece.data(), piece.size(), "/nowhere/at/all", 10 * piece.size());
  CHECK(body.received() == 2 * piece.size());
  CHECK_FALSE(body.Finish());
}

}  // namespace stagefs::test
