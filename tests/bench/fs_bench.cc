// Workloads on any folder, with as little of their own as possible, so that mounts can be compared.
// Usage: fs_bench WORK [NUMBER…] PATH…; each prints the seconds it took.
//   link THREADS COUNT SOURCE FOLDER     COUNT links of SOURCE
//   create THREADS COUNT BYTES FOLDER    COUNT new files of BYTES each
//   stat COUNT FOLDER                    stat of the names that link and create make
//   list FOLDER                          readdir, and fstatat of each name
//   read BLOCK FILE / random_read COUNT FILE / map_read FILE
//   write BLOCK BYTES FILE / random_write COUNT FILE     without and with the close that follows
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

[[noreturn]] void Die(const std::string& what) {
  std::perror(what.c_str());
  std::exit(1);
}

class Clock {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::string NameOf(long number) {
  char name[24];
  std::snprintf(name, sizeof name, "/%07ld", number);
  return name;
}

template <class Work>
void InThreads(long threads, long count, Work work) {
  const Clock clock;
  std::vector<std::thread> running;
  for (long t = 0; t < threads; ++t) {
    running.emplace_back([=] {
      for (long i = t; i < count; i += threads) work(i);
    });
  }
  for (std::thread& thread : running) thread.join();
  std::printf("%.6f\n", clock.Seconds());
}

void Link(char** args) {
  const std::string source = args[2], folder = args[3];
  InThreads(std::atol(args[0]), std::atol(args[1]), [&](long i) {
    if (link(source.c_str(), (folder + NameOf(i)).c_str()) != 0) Die("link");
  });
}

void Create(char** args) {
  const std::string bytes(std::atol(args[2]), 'x'), folder = args[3];
  InThreads(std::atol(args[0]), std::atol(args[1]), [&](long i) {
    std::string content = bytes;
    std::memcpy(content.data(), &i, sizeof i);
    const int fd = open((folder + NameOf(i)).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0 || write(fd, content.data(), content.size()) != static_cast<ssize_t>(content.size()) ||
        close(fd) != 0) {
      Die("create");
    }
  });
}

void Stat(char** args) {
  const std::string folder = args[1];
  InThreads(1, std::atol(args[0]), [&](long i) {
    struct stat found {};
    if (stat((folder + NameOf(i)).c_str(), &found) != 0) Die("stat");
  });
}

void List(char** args) {
  const Clock clock;
  DIR* folder = opendir(args[0]);
  if (folder == nullptr) Die("opendir");
  long count = 0;
  while (const dirent* entry = readdir(folder)) {
    struct stat found {};
    if (fstatat(dirfd(folder), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) Die("fstatat");
    ++count;
  }
  closedir(folder);
  if (count < 3) Die("nothing is listed");
  std::printf("%.6f\n", clock.Seconds());
}

int OpenFile(const char* path, int flags) {
  const int fd = open(path, flags, 0644);
  if (fd < 0) Die(path);
  return fd;
}

off_t SizeOf(int fd) {
  struct stat found {};
  if (fstat(fd, &found) != 0) Die("fstat");
  return found.st_size;
}

void Read(char** args) {
  std::vector<char> block(std::atol(args[0]));
  const Clock clock;
  const int fd = OpenFile(args[1], O_RDONLY);
  while (true) {
    const ssize_t size = read(fd, block.data(), block.size());
    if (size < 0) Die("read");
    if (size == 0) break;
  }
  close(fd);
  std::printf("%.6f\n", clock.Seconds());
}

void RandomRead(char** args) {
  const int fd = OpenFile(args[1], O_RDONLY);
  std::mt19937_64 random(1);
  const off_t pages = SizeOf(fd) / 4096;
  char page[4096];
  const Clock clock;
  for (long i = std::atol(args[0]); i > 0; --i) {
    if (pread(fd, page, sizeof page, static_cast<off_t>(random() % pages) * 4096) != sizeof page)
      Die("pread");
  }
  std::printf("%.6f\n", clock.Seconds());
}

void MapRead(char** args) {
  const int fd = OpenFile(args[0], O_RDONLY);
  const off_t size = SizeOf(fd);
  const Clock clock;
  const auto* bytes = static_cast<const volatile char*>(mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0));
  if (bytes == MAP_FAILED) Die("mmap");
  for (off_t at = 0; at < size; at += 4096) (void)bytes[at];
  std::printf("%.6f\n", clock.Seconds());
}

void CloseAndPrint(int fd, const Clock& clock) {
  const double written = clock.Seconds();
  if (close(fd) != 0) Die("close");
  std::printf("%.6f %.6f\n", written, clock.Seconds());
}

void Write(char** args) {
  std::vector<char> block(std::atol(args[0]));
  std::mt19937_64 random(std::random_device{}());
  for (char& byte : block) byte = static_cast<char>(random());
  const Clock clock;
  const int fd = OpenFile(args[2], O_WRONLY | O_CREAT | O_TRUNC);
  for (long left = std::atol(args[1]), i = 0; left > 0; left -= static_cast<long>(block.size()), ++i) {
    std::memcpy(block.data(), &i, sizeof i);
    if (write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size())) Die("write");
  }
  CloseAndPrint(fd, clock);
}

void RandomWrite(char** args) {
  const int fd = OpenFile(args[1], O_WRONLY);
  std::mt19937_64 random(1);
  const off_t pages = SizeOf(fd) / 4096;
  char page[4096] = {};
  const Clock clock;
  for (long i = std::atol(args[0]); i > 0; --i) {
    std::memcpy(page, &i, sizeof i);
    if (pwrite(fd, page, sizeof page, static_cast<off_t>(random() % pages) * 4096) != sizeof page)
      Die("pwrite");
  }
  CloseAndPrint(fd, clock);
}

}  // namespace

int main(int argc, char** argv) {
  const struct {
    const char* name;
    int arguments;
    void (*run)(char**);
  } works[] = {{"link", 4, Link},        {"create", 4, Create}, {"stat", 2, Stat},
               {"list", 1, List},        {"read", 2, Read},     {"random_read", 2, RandomRead},
               {"map_read", 1, MapRead}, {"write", 3, Write},   {"random_write", 2, RandomWrite}};
  for (const auto& work : works) {
    if (argc == work.arguments + 2 && std::string(argv[1]) == work.name) {
      work.run(argv + 2);
      return 0;
    }
  }
  std::fprintf(stderr, "usage: see the head of fs_bench.cc\n");
  return 2;
}
