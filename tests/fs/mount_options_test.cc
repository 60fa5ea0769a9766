// `-o`, as mount(8) gives it.
#include "commands/mount_options.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/catch.h"

using namespace stagefs;

TEST_CASE("Mount options: without any, this process's user, and writable", "[fs][mount_options]") {
  const auto parsed = ParseMountOptions({});
  REQUIRE(parsed);
  CHECK(parsed->mount.uid == getuid());
  CHECK(parsed->mount.gid == getgid());
  CHECK_FALSE(parsed->mount.read_only);
  CHECK_FALSE(parsed->mount.show_control);
  CHECK_FALSE(parsed->allow_other);
  CHECK_FALSE(parsed->nonempty);
}

TEST_CASE("Mount options: several lists of several", "[fs][mount_options]") {
  const auto parsed = ParseMountOptions({"ro,allow_other,uid=12", "gid=34,,umask=027,show_control,nonempty"});
  REQUIRE(parsed);
  CHECK(parsed->mount.read_only);
  CHECK(parsed->allow_other);
  CHECK(parsed->mount.uid == 12);
  CHECK(parsed->mount.gid == 34);
  CHECK(parsed->mount.umask == 027);
  CHECK(parsed->mount.show_control);
  CHECK(parsed->nonempty);
}

TEST_CASE("Mount options: those of the kernel are passed on", "[fs][mount_options]") {
  CHECK(ParseMountOptions({"noexec,ro,nosuid", "nodev,noatime"})->kernel_options == ",noexec,nosuid,nodev,noatime");
  CHECK(ParseMountOptions({})->kernel_options.empty());
}

TEST_CASE("Mount options: without a umask nobody else may write, with one that is asked for they may",
          "[fs][mount_options]") {
  const mode_t before = umask(0);
  CHECK(ParseMountOptions({})->mount.umask == 022);
  CHECK(ParseMountOptions({"umask=002"})->mount.umask == 002);
  umask(before);
}

TEST_CASE("Mount options: the later of two wins", "[fs][mount_options]") {
  CHECK_FALSE(ParseMountOptions({"ro", "rw"})->mount.read_only);
  CHECK(ParseMountOptions({"uid=1,uid=2"})->mount.uid == 2);
}

TEST_CASE("Mount options: what is refused is named", "[fs][mount_options]") {
  for (const char* list : {"uid=", "uid=x", "gid=1x", "umask=8", "uid=4294967296", "bogus", "ro,bogus=1"}) {
    INFO(list);
    const auto parsed = ParseMountOptions({list});
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code() == ErrorCode::kInvalidArgument);
    CHECK(parsed.error().message().substr(0, 3) == "-o ");
  }
}
