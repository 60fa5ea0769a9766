#include "stagefs/posix_env.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

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

}  // namespace stagefs::test
