// Versions uploaded in pieces, by the routes of Oxen 0.50 and those of 0.65.
#include <charconv>

#include "handlers.h"
#include "stagefs/uploads.h"
#include "wire/query.h"
#include "wire/reply.h"
#include "wire/requests.h"
#include "wire/status_bodies.h"
#include "wire/version_bodies.h"

namespace stagefs {
namespace {

constexpr uint64_t kPartBytes = 10 << 20;
constexpr unsigned kPartWindow = 4;

// Stages a complete upload where its plan says.
OrRefusal<> StageAt(Call& call, const std::string& workspace_id, const std::string& raw_path,
                    VersionId version, bool update_timestamp) {
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, OrBadRequest(RepoPath::Parse(raw_path)));
  STAGEFS_ASSIGN_OR_RETURN(const auto workspace, Workspace::Open(*call.repository, workspace_id));
  StageHow how;
  how.update_timestamp = update_timestamp;
  STAGEFS_ASSIGN_OR_RETURN(const auto outcomes, workspace->StageVersions({{path, version}}, how));
  return outcomes.front();
}

// The version that the pieces sent so far make, all of them being there.
OrRefusal<VersionInfo> Assemble(Call& call, const CompleteFile& file) {
  if (file.chunks == 0) return BadRequest("Missing both num_chunks and upload_results in request");
  Uploads uploads(*call.repository);
  const std::string key = Uploads::KeyOf(file.hash);
  const auto pieces = uploads.Pieces(key);
  if (!pieces && pieces.error().code() != ErrorCode::kNotFound) return pieces.error();
  const size_t have = pieces ? pieces->size() : 0;
  if (have != file.chunks) {
    return BadStatus(400, "Number of chunks does not match expected number of chunks: " +
                              std::to_string(have) + " != " + std::to_string(file.chunks));
  }
  return uploads.Complete(key, file.hash);
}

// The number of a part, from 1.
OrRefusal<uint64_t> PartNumber(const std::string& text, const UploadPlan& plan) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec == std::errc() && parsed.ptr == end && number >= 1 && number <= plan.pieces()) return number;
  return BadRequest("parts are numbered from 1 to " + std::to_string(plan.pieces()));
}

Result<VersionInfo> Complete(Call& call, const std::string& key, const UploadPlan& plan) {
  STAGEFS_ASSIGN_OR_RETURN(const HashRef claimed, HashRef::Parse(plan.hash));
  auto version = Uploads(*call.repository).Complete(key, claimed);
  if (version || version.error().code() != ErrorCode::kNotFound) return version;
  return call.repository->FindVersion(plan.hash);  // Another part completed it.
}

// Where there is nowhere to stage it, it is only kept.
OrRefusal<> StageAsPlanned(Call& call, const UploadPlan& plan, VersionId version) {
  if (plan.workspace.empty()) return {};
  return StageAt(call, plan.workspace, plan.path, version, /*update_timestamp=*/false);
}

}  // namespace

Reply CreateUpload(Call& call) {
  STAGEFS_RETURN_IF_ERROR(OrBadRequest(HashRef::Parse(call.names[2])));
  return StatusReply(kFound);
}

Reply PutChunk(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const HashRef hash, OrBadRequest(HashRef::Parse(call.names[2])));
  const auto offset = QueryNumber(call.target, "offset", 0);
  if (!call.target.query.contains("offset") || !offset || static_cast<uint64_t>(*offset) > kUploadBytesMax) {
    return BadRequest("offset is a whole number from 0 to " + std::to_string(kUploadBytesMax));
  }
  STAGEFS_RETURN_IF_ERROR(Uploads(*call.repository)
                              .PutPiece(Uploads::KeyOf(hash), static_cast<uint64_t>(*offset),
                                        *call.request.body,
                                        /*begin=*/true));
  return StatusReply(kCreated);
}

Reply CompleteUpload(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, call.Text());
  STAGEFS_ASSIGN_OR_RETURN(const CompleteFile file, OrBadStatus(ReadCompleteFile(text)));
  const auto named = HashRef::Parse(call.names[2]);
  if (!named || named->ToString() != file.hash.ToString()) {
    return BadRequest("the path and the body name two versions");
  }
  if (file.workspace) {
    STAGEFS_RETURN_IF_ERROR(Try(Workspace::Open(*call.repository, *file.workspace)).OnAny([&] {
      return BadStatus(404, "Workspace not found: " + *file.workspace);
    }));
  }
  // What was sent counts: it mends a version that is damaged. A client that did not get the answer asks again.
  const auto pieces = Uploads(*call.repository).Pieces(Uploads::KeyOf(file.hash));
  const bool is_sent = pieces && file.chunks != 0 && pieces->size() == file.chunks;
  OrRefusal<VersionInfo> version = is_sent ? Assemble(call, file) : call.repository->FindStored(call.names[2]);
  if (!version && !is_sent) version = Assemble(call, file);
  if (!version) return version.error();
  if (file.workspace) {
    STAGEFS_RETURN_IF_ERROR(StageAt(call, *file.workspace, file.path, version->id, file.update_timestamp));
  }
  return StatusReply(kFound);
}

Reply BeginUpload(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, call.Text());
  STAGEFS_ASSIGN_OR_RETURN(const UploadPlan plan, OrBadRequest(ReadUploadPlan(text, kPartBytes)));
  if (!plan.path.empty()) STAGEFS_RETURN_IF_ERROR(Workspace::Open(*call.repository, plan.workspace));
  if (const auto version = call.repository->FindStored(plan.hash)) {
    STAGEFS_RETURN_IF_ERROR(StageAsPlanned(call, plan, version->id));
    return JsonReply(200, UploadStoredBody());
  }
  if (plan.size_bytes == 0) return BadRequest("no version of 0 bytes has this hash");
  STAGEFS_ASSIGN_OR_RETURN(const std::string key, Uploads(*call.repository).Begin(plan));
  return JsonReply(200, UploadBegunBody(key, kPartBytes, plan.pieces(), kPartWindow));
}

Reply PutPart(Call& call) {
  Uploads uploads(*call.repository);
  const std::string& key = call.names[2];
  STAGEFS_ASSIGN_OR_RETURN(const UploadPlan plan, uploads.PlanOf(key));
  STAGEFS_ASSIGN_OR_RETURN(const uint64_t number, PartNumber(call.names[3], plan));
  const uint64_t offset = (number - 1) * plan.piece_bytes;
  const uint64_t expected = std::min(plan.piece_bytes, plan.size_bytes - offset);
  if (call.request.body_bytes != expected) {
    return BadRequest("part " + call.names[3] + " has " + std::to_string(expected) + " bytes");
  }
  STAGEFS_RETURN_IF_ERROR(uploads.PutPiece(key, offset, *call.request.body, /*begin=*/false));
  const auto pieces = uploads.Pieces(key);
  if (pieces && pieces->size() < plan.pieces()) return JsonReply(200, UploadPartBody(false));
  STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, Complete(call, key, plan));
  STAGEFS_RETURN_IF_ERROR(StageAsPlanned(call, plan, version.id));
  return JsonReply(200, UploadPartBody(true));
}

}  // namespace stagefs
