#include "inotify_watches.h"

#include <dirent.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace stagefs {
namespace {

// The kernel prints its own form of a device number.
uint64_t KernelDevice(dev_t device) { return (static_cast<uint64_t>(major(device)) << 20) | minor(device); }

void ReadWatches(const std::string& fdinfo, uint64_t device, std::set<uint64_t>* inodes) {
  std::ifstream lines(fdinfo);
  for (std::string line; std::getline(lines, line);) {
    unsigned long long inode = 0, sdev = 0;
    if (std::sscanf(line.c_str(), "inotify wd:%*x ino:%llx sdev:%llx", &inode, &sdev) == 2 &&
        sdev == device) {
      inodes->insert(inode);
    }
  }
}

bool IsNumber(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return isdigit(c); });
}

}  // namespace

std::set<uint64_t> WatchedInodes(dev_t device) {
  std::set<uint64_t> inodes;
  const std::string self = std::to_string(getpid());
  std::error_code error;
  for (std::filesystem::directory_iterator process("/proc", error), none; !error && process != none;
       process.increment(error)) {
    const std::string pid = process->path().filename().string();
    if (!IsNumber(pid) || pid == self) continue;
    std::error_code hidden;
    const std::string fds = process->path().string() + "/fd";
    for (std::filesystem::directory_iterator it(fds, hidden), end; !hidden && it != end;
         it.increment(hidden)) {
      char target[32];
      const ssize_t size = readlink(it->path().c_str(), target, sizeof target - 1);
      if (size <= 0) continue;
      target[size] = '\0';
      if (std::strcmp(target, "anon_inode:inotify") != 0) continue;
      ReadWatches(process->path().string() + "/fdinfo/" + it->path().filename().string(), KernelDevice(device),
                  &inodes);
    }
  }
  return inodes;
}

}  // namespace stagefs
