// The least a FUSE file system can do for link(): a root with one file, `source`, and links that nobody
// keeps. Usage: null_link MOUNTPOINT (in the foreground)
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstring>

namespace {

constexpr fuse_ino_t kSource = 2;
std::atomic<fuse_ino_t> last_inode{kSource};

struct stat StatOf(fuse_ino_t inode) {
  struct stat stat {};
  stat.st_ino = inode;
  stat.st_mode = inode == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
  stat.st_nlink = 1;
  return stat;
}

void ReplyEntry(fuse_req_t request, fuse_ino_t inode) {
  fuse_entry_param entry{};
  entry.ino = inode;
  entry.attr = StatOf(inode);
  entry.attr_timeout = entry.entry_timeout = 600;
  fuse_reply_entry(request, &entry);
}

void LookUp(fuse_req_t request, fuse_ino_t, const char* name) {
  ReplyEntry(request, std::strcmp(name, "source") == 0 ? kSource : 0);
}

void GetAttr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  const struct stat stat = StatOf(inode);
  fuse_reply_attr(request, &stat, 600);
}

void Link(fuse_req_t request, fuse_ino_t, fuse_ino_t, const char*) { ReplyEntry(request, ++last_inode); }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  fuse_args args = FUSE_ARGS_INIT(1, argv);
  fuse_lowlevel_ops operations{};
  operations.lookup = LookUp;
  operations.getattr = GetAttr;
  operations.link = Link;
  fuse_session* session = fuse_session_new(&args, &operations, sizeof operations, nullptr);
  if (session == nullptr || fuse_session_mount(session, argv[1]) != 0) return 1;
  fuse_set_signal_handlers(session);
  fuse_loop_config* config = fuse_loop_cfg_create();
  fuse_session_loop_mt(session, config);
  fuse_loop_cfg_destroy(config);
  fuse_remove_signal_handlers(session);
  fuse_session_unmount(session);
  fuse_session_destroy(session);
  return 0;
}
