#include "stagefs/posix_env.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "stagefs/incoming_file.h"
#include "tests/scene.h"

namespace stagefs::test {

TEST_CASE("Errors: what the system says keeps its meaning", "[core][posix_env]") {
  const auto [error, code] = GENERATE(table<int, ErrorCode>({{ENOENT, ErrorCode::kNotFound},
                                                             {EEXIST, ErrorCode::kExists},
                                                             {ENOTDIR, ErrorCode::kNotDirectory},
                                                             {EISDIR, ErrorCode::kIsDirectory},
                                                             {ENOTEMPTY, ErrorCode::kNotEmpty},
                                                             {ENAMETOOLONG, ErrorCode::kNameTooLong},
                                                             {EFBIG, ErrorCode::kTooLarge},
                                                             {EACCES, ErrorCode::kPermission},
                                                             {EPERM, ErrorCode::kPermission},
                                                             {EROFS, ErrorCode::kReadOnly},
                                                             {ENOSPC, ErrorCode::kNoSpace},
                                                             {EDQUOT, ErrorCode::kNoSpace},
                                                             {EBUSY, ErrorCode::kBusy},
                                                             {EAGAIN, ErrorCode::kBusy},
                                                             {ESTALE, ErrorCode::kStale},
                                                             {EINVAL, ErrorCode::kInvalidArgument},
                                                             {EIO, ErrorCode::kIo}}));
  errno = error;
  const Error said = ErrnoError("open /somewhere");
  CHECK(said.code() == code);
  CHECK(said.message() == std::string("open /somewhere: ") + std::strerror(error));
}

TEST_CASE("Copy: bytes go over whole, also where the kernel cannot copy them itself", "[core][posix_env]") {
  TempFolder folder;
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i);
  WriteFile(folder / "from", text);
  const UniqueFd from = Value(OpenFd(folder / "from", O_RDONLY));
  SECTION("from file to file") {
    const UniqueFd to = Value(OpenFd(folder / "to", O_RDWR | O_CREAT));
    Ok(CopyBytes(from.get(), to.get(), text.size()));
    CHECK(ReadFile(folder / "to") == text);
  }
  SECTION("to where only writing at a place works") {
    const UniqueFd to = Value(OpenFd("/dev/null", O_WRONLY));
    Ok(CopyBytes(from.get(), to.get(), text.size()));
  }
  SECTION("a source that is shorter than said is an error") {
    const UniqueFd to = Value(OpenFd(folder / "to", O_RDWR | O_CREAT));
    const Status copied = CopyBytes(from.get(), to.get(), text.size() + 1);
    REQUIRE_FALSE(copied);
    CHECK(copied.error().code() == ErrorCode::kIo);
  }
}

TEST_CASE("Holes: they are found, stay holes in a copy, and are hashed as zeros", "[core][posix_env]") {
  constexpr uint64_t kMiB = 1 << 20, kSize = 4 * kMiB;
  TempFolder folder;
  const UniqueFd from = Value(OpenFd(folder / "from", O_RDWR | O_CREAT));
  const UniqueFd to = Value(OpenFd(folder / "to", O_RDWR | O_CREAT));
  REQUIRE(ftruncate(from.get(), kSize) == 0);
  std::string text(kSize, '\0');
  const uint64_t at = GENERATE(uint64_t{0}, uint64_t{1} << 20, uint64_t{3} << 20);
  for (uint64_t i = 0; i < kMiB; ++i) text[at + i] = 'x';
  Ok(WriteAllAt(from.get(), text.data() + at, kMiB, at));
  const Extent first = Value(ExtentAt(from.get(), 0)), data = Value(ExtentAt(from.get(), at));
  CHECK(first.is_hole == (at > 0));
  CHECK_FALSE(data.is_hole);
  CHECK(data.begin == at);
  CHECK(data.end == at + kMiB);
  CHECK(Value(ExtentAt(from.get(), kSize)).end == kSize);
  CHECK(Value(ExtentAt(from.get(), kSize + 1)).end == kSize + 1);

  const uint64_t size_bytes = kSize - GENERATE(uint64_t{0}, uint64_t{1}, uint64_t{2} << 20);
  Ok(CopyBytes(from.get(), to.get(), size_bytes));
  CHECK(ReadFile(folder / "to") == text.substr(0, size_bytes));
  if (size_bytes > at + kMiB || at > 0) CHECK(SparseBlocks(to.get()));
  const HashedFile hashed = Value(HashFile(from.get()));
  CHECK(hashed.size_bytes == kSize);
  CHECK(hashed.id == HashOf(text));

  IncomingFile incoming = Value(IncomingFile::Create(folder.path()));
  Ok(incoming.CopyFrom(from.get()));
  CHECK(incoming.Finish() == HashOf(text));
  CHECK(incoming.size_bytes() == kSize);
  CHECK(ReadFile(incoming.path()) == text);
  CHECK(SparseBlocks(incoming.fd()));
}

}  // namespace stagefs::test
