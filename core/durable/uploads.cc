#include "stagefs/uploads.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "stagefs/byte_source.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr size_t kOffsetDigits = 20;
constexpr std::string_view kPlanFile = "plan";
constexpr size_t kBufferBytes = 256 << 10;

std::string NameOf(uint64_t offset) {
  const std::string digits = std::to_string(offset);
  return std::string(kOffsetDigits - digits.size(), '0') + digits;
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// A key is part of a path: only what Begin() and KeyOf() make is one.
bool IsKey(const std::string& key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Error NoUpload() { return Error(ErrorCode::kNotFound, "no such upload: it is complete, or was never begun"); }

Status CopyAll(ByteSource& source, int to) {
  std::vector<char> buffer(kBufferBytes);
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(buffer.data(), buffer.size()));
    if (got == 0) return {};
    STAGEFS_RETURN_IF_ERROR(WriteAll(to, buffer.data(), got));
  }
}

Status AppendTo(IncomingFile& file, const std::string& piece) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(piece, O_RDONLY));
  return file.WriteFrom(*NewFileSource(fd.get()));
}

}  // namespace

Uploads::Uploads(Repository& repository)
    : repository_(repository), folder_(repository.folder() + "/uploads") {}

std::string Uploads::KeyOf(const HashRef& hash) {
  return hash.sha256() != nullptr ? "sha256-" + ToHex(*hash.sha256()) : "xxh3-" + ToHex(*hash.xxh3());
}

Result<std::string> Uploads::Begin(const UploadPlan& plan) {
  if (plan.size_bytes > kUploadBytesMax) {
    return Error(ErrorCode::kTooLarge,
                 "an upload may have up to " + std::to_string(kUploadBytesMax) + " bytes");
  }
  const std::string key = RandomHex();
  STAGEFS_RETURN_IF_ERROR(MakeFolders(FolderOf(key)));
  const std::string text = plan.hash + '\n' + std::to_string(plan.size_bytes) + '\n' +
                           std::to_string(plan.piece_bytes) + '\n' + plan.workspace + '\n' +
                           HexOf(plan.path) + '\n';
  const std::string file = FolderOf(key) + '/' + std::string(kPlanFile);
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(file + ".new", O_WRONLY | O_CREAT | O_EXCL));
  STAGEFS_RETURN_IF_ERROR(WriteAll(fd.get(), text.data(), text.size()));
  STAGEFS_RETURN_IF_ERROR(RenameFile(file + ".new", file));
  return key;
}

Result<UploadPlan> Uploads::PlanOf(const std::string& key) {
  if (!IsKey(key)) return NoUpload();
  const auto text = ReadWholeFile(FolderOf(key) + '/' + std::string(kPlanFile));
  if (!text) return text.error().code() == ErrorCode::kNotFound ? NoUpload() : text.error();
  std::vector<std::string> lines;
  for (size_t begin = 0, end; (end = text->find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines.push_back(text->substr(begin, end - begin));
  }
  if (lines.size() != 5) return Error(ErrorCode::kCorrupt, "the plan of upload " + key + " is damaged");
  UploadPlan plan;
  plan.hash = lines[0];
  plan.size_bytes = ParseNumber(lines[1]).value_or(0);
  plan.piece_bytes = std::max<uint64_t>(1, ParseNumber(lines[2]).value_or(0));
  plan.workspace = lines[3];
  for (size_t i = 0; i + 1 < lines[4].size(); i += 2) {
    int byte = 0;
    std::from_chars(lines[4].data() + i, lines[4].data() + i + 2, byte, 16);
    plan.path += static_cast<char>(byte);
  }
  return plan;
}

Status Uploads::PutPiece(const std::string& key, uint64_t offset, ByteSource& source, bool begin) {
  if (!IsKey(key)) return NoUpload();
  if (offset > kUploadBytesMax) {
    return Error(ErrorCode::kTooLarge,
                 "an upload may have up to " + std::to_string(kUploadBytesMax) + " bytes");
  }
  if (begin) STAGEFS_RETURN_IF_ERROR(MakeFolders(FolderOf(key)));
  const std::string arriving = FolderOf(key) + "/arriving-" + RandomHex();
  auto fd = OpenFd(arriving, O_WRONLY | O_CREAT | O_EXCL);
  if (!fd) return fd.error().code() == ErrorCode::kNotFound ? NoUpload() : fd.error();
  Status kept = CopyAll(source, fd->get());
  if (kept) kept = RenameFile(arriving, FolderOf(key) + '/' + NameOf(offset));
  if (!kept) unlink(arriving.c_str());
  if (!kept && kept.error().code() == ErrorCode::kNotFound) return NoUpload();
  return kept;
}

Result<std::vector<Uploads::Piece>> Uploads::Pieces(const std::string& key) {
  if (!IsKey(key)) return NoUpload();
  std::vector<Piece> pieces;
  std::error_code error;
  for (std::filesystem::directory_iterator it(FolderOf(key), error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    const auto offset = name.size() == kOffsetDigits ? ParseNumber(name) : std::nullopt;
    const uint64_t size = offset ? it->file_size(error) : 0;
    if (offset && !error) pieces.push_back({*offset, size});
  }
  if (error == std::errc::no_such_file_or_directory) return NoUpload();
  if (error) return Error(ErrorCode::kIo, "list the pieces of upload " + key + ": " + error.message());
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.offset < b.offset; });
  return pieces;
}

Result<VersionInfo> Uploads::Complete(const std::string& key, const HashRef& claimed) {
  if (!IsKey(key)) return NoUpload();
  // Whoever moves the folder away completes it; a piece that comes later finds no upload.
  const std::string ours = key + "-completing-" + RandomHex();
  if (rename(FolderOf(key).c_str(), FolderOf(ours).c_str()) != 0) {
    return errno == ENOENT ? NoUpload() : ErrnoError("complete upload " + key);
  }
  const auto give_back = [&](const Error& error) {
    (void)rename(FolderOf(ours).c_str(), FolderOf(key).c_str());
    return error;
  };
  const auto pieces = Pieces(ours);
  if (!pieces) return give_back(pieces.error());
  auto file = repository_.NewIncoming();
  if (!file) return give_back(file.error());
  for (const Piece& piece : *pieces) {
    if (piece.offset != file->size_bytes()) {
      return give_back(Error(ErrorCode::kInvalidArgument,
                             "pieces are missing or overlap at byte " + std::to_string(file->size_bytes())));
    }
    const Status added = AppendTo(*file, FolderOf(ours) + '/' + NameOf(piece.offset));
    if (!added) return give_back(added.error().In("upload " + key));
  }
  if (!claimed.Names(file->Finish())) {
    STAGEFS_RETURN_IF_ERROR(Drop(ours));
    return Error(ErrorCode::kInvalidArgument, "the uploaded bytes do not hash to " + claimed.ToString());
  }
  const auto version = repository_.Adopt(std::move(*file));
  if (!version) return give_back(version.error());
  STAGEFS_RETURN_IF_ERROR(Drop(ours));
  return *version;
}

Status Uploads::Drop(const std::string& key) {
  if (!IsKey(key)) return NoUpload();
  std::error_code error;
  std::filesystem::remove_all(FolderOf(key), error);
  if (error) return Error(ErrorCode::kIo, "remove upload " + key + ": " + error.message());
  return {};
}

Result<int64_t> Uploads::RemoveStale(int64_t before_ns) {
  int64_t removed = 0;
  const auto keys = ListNames(folder_);
  for (const std::string& key : keys ? *keys : std::vector<std::string>()) {
    struct stat file {};
    if (stat(FolderOf(key).c_str(), &file) != 0 || ToNs(file.st_mtim) >= before_ns) continue;
    STAGEFS_RETURN_IF_ERROR(Drop(key));
    ++removed;
  }
  return removed;
}

}  // namespace stagefs
