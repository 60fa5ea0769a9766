// Branches, and merges of them.
#include "handlers.h"
#include "rows.h"
#include "stagefs/history.h"
#include "view_of.h"
#include "wire/history_bodies.h"
#include "wire/reply.h"
#include "wire/requests.h"
#include "wire/status_bodies.h"

namespace stagefs {
namespace {

struct MergeSpec {
  std::string base, head;
};

// "BASE..HEAD", of which the head is there.
OrRefusal<MergeSpec> ReadMergeSpec(const Call& call) {
  const size_t dots = call.rest.find("..");
  if (dots == std::string::npos || dots == 0 || dots + 2 == call.rest.size())
    return BadRequest("write BASE..HEAD");
  return MergeSpec{call.rest.substr(0, dots), call.rest.substr(dots + 2)};
}

OrRefusal<CommitInfo> Resolve(const Call& call, const std::string& revision) {
  return Try(History(*call.repository).Resolve(revision)).OnAny([&] { return NoRevision(revision); });
}

Reply BranchReply(Call& call, std::string_view message, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(
      const BranchInfo branch,
      Try(FindBranch(*call.repository, name)).On({ErrorCode::kNotFound}, [&] { return NoBranch(name); }));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const BranchView view, ViewOf(*reader, branch));
  return JsonReply(200, BranchBody(message, view));
}

}  // namespace

Reply ListBranches(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto branches, reader->ListBranches());
  std::vector<BranchView> views;
  for (const BranchInfo& branch : branches) {
    STAGEFS_ASSIGN_OR_RETURN(BranchView view, ViewOf(*reader, branch));
    views.push_back(std::move(view));
  }
  return JsonReply(200, BranchesBody(views));
}

Reply CreateBranch(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, call.Text());
  STAGEFS_ASSIGN_OR_RETURN(const NewBranch wanted, OrBadRequest(ReadNewBranch(text)));
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo start,
                           Try(History(*call.repository).Resolve(wanted.from)).OnAny([&] {
                             return wanted.from_commit ? NoRevision(wanted.from) : NoBranch(wanted.from);
                           }));
  const Status created = History(*call.repository).CreateBranch(wanted.name, start.id);
  if (created) return BranchReply(call, kCreated, wanted.name);
  if (created.error().code() != ErrorCode::kExists) return created.error();
  // A client that asks again gets what it asked for.
  const auto existing = History(*call.repository).FindBranch(wanted.name);
  if (existing && *existing && (*existing)->head == start.seq) return BranchReply(call, kFound, wanted.name);
  return Refuse(409, "resource_already_exists", "Branch exists", created.error().message());
}

Reply GetBranch(Call& call) { return BranchReply(call, kFound, call.rest); }

Reply UpdateBranch(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, call.Text());
  STAGEFS_ASSIGN_OR_RETURN(const std::string head, OrBadRequest(ReadBranchHead(text)));
  STAGEFS_RETURN_IF_ERROR(Resolve(call, head));
  STAGEFS_RETURN_IF_ERROR(Try(History(*call.repository).MoveBranch(call.rest, head)).On({ErrorCode::kNotFound}, [&] {
    return NoBranch(call.rest);
  }));
  return BranchReply(call, kUpdated, call.rest);
}

Reply DeleteBranch(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(HttpResponse found, BranchReply(call, kDeleted, call.rest));
  STAGEFS_RETURN_IF_ERROR(
      Try(History(*call.repository).DeleteBranch(call.rest)).On({ErrorCode::kBusy}, [](const Error& error) {
        return Conflict("Branch is in use", error.message());
      }));
  return found;
}

Reply GetMergeable(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const MergeSpec spec, ReadMergeSpec(call));
  STAGEFS_RETURN_IF_ERROR(Resolve(call, spec.head));
  STAGEFS_ASSIGN_OR_RETURN(
      const MergePreview preview,
      Try(History(*call.repository).PreviewMerge(spec.base, spec.head)).On({ErrorCode::kNotFound}, [&] {
        return NoBranch(spec.base);
      }));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto commits, ViewsOf(*reader, preview.commits));
  return JsonReply(200, MergeableBody(preview.conflicts, commits));
}

Reply MergeBranches(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const MergeSpec spec, ReadMergeSpec(call));
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, call.Text());
  STAGEFS_ASSIGN_OR_RETURN(const Author author, OrBadRequest(ReadMerger(text)));
  STAGEFS_RETURN_IF_ERROR(Resolve(call, spec.head));
  STAGEFS_ASSIGN_OR_RETURN(
      const MergeResult merged,
      Try(History(*call.repository).Merge(spec.base, spec.head, MergeMessage(spec.base, spec.head), author))
          .On({ErrorCode::kNotFound}, [&] { return NoBranch(spec.base); })
          .On({ErrorCode::kConflict},
              [](const Error& error) { return Conflict("Merge conflict", error.message()); }));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto views, ViewsOf(*reader, {merged.base, merged.head, merged.merge}));
  return JsonReply(200, MergeBody(views[0], views[1], views[2]));
}

}  // namespace stagefs
