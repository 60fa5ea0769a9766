#include "reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

std::string PieceOf(const std::string& folder, int number) { return folder + "/reserve/" + std::to_string(number); }

bool Fill(int fd) {
  if (fallocate(fd, 0, 0, kReservePieceBytes) == 0) return true;
  if (errno != EOPNOTSUPP) return false;
  const std::string zeros(kReservePieceBytes, '\0');
  return WriteAllAt(fd, zeros.data(), zeros.size(), 0).has_value();
}

}  // namespace

void MakeReserve(const std::string& folder) {
  (void)mkdir((folder + "/reserve").c_str(), 0700);
  struct statvfs disk {};
  if (statvfs(folder.c_str(), &disk) != 0) return;
  const auto disk_bytes = static_cast<off_t>(disk.f_blocks * disk.f_frsize);
  const off_t pieces = std::min<off_t>(kReservePieces, disk_bytes / kReserveShareOfDisk / kReservePieceBytes + 1);
  for (int i = 0; i < pieces; ++i) {
    struct stat info {};
    const std::string piece = PieceOf(folder, i);
    if (stat(piece.c_str(), &info) == 0 && info.st_size >= kReservePieceBytes) continue;
    const auto fd = OpenFd(piece, O_WRONLY | O_CREAT);
    if (fd && Fill(fd->get())) continue;
    unlink(piece.c_str());
    return;
  }
}

bool GiveFromReserve(const std::string& folder) {
  for (int i = kReservePieces - 1; i >= 0; --i) {
    if (unlink(PieceOf(folder, i).c_str()) == 0) return true;
  }
  return false;
}

}  // namespace stagefs
