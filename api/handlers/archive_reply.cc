#include "archive_reply.h"

#include "stagefs/posix_env.h"
#include "wire/file_reply.h"

namespace stagefs {

Result<HttpResponse> ArchiveReply(const Call& call, ArchiveFormat format,
                                  const std::function<Status(ArchiveWriter&)>& fill) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenUnnamed(call.repository->incoming()));
  STAGEFS_ASSIGN_OR_RETURN(const auto archive, ArchiveWriter::Open(fd.get(), format));
  STAGEFS_RETURN_IF_ERROR(fill(*archive));
  STAGEFS_RETURN_IF_ERROR(archive->Finish());
  STAGEFS_ASSIGN_OR_RETURN(const uint64_t size, FileSize(fd.get()));
  return FileReply(fd.get(), 0, size, format == ArchiveFormat::kZip ? "application/zip" : "application/gzip");
}

}  // namespace stagefs
