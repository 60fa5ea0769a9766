// Revisions and commits.
#include "handlers.h"
#include "rows.h"
#include "stagefs/history.h"
#include "stagefs/revision.h"
#include "view_of.h"
#include "wire/history_bodies.h"
#include "wire/query.h"
#include "wire/reply.h"
#include "wire/revision_bodies.h"
#include "wire/status_bodies.h"

namespace stagefs {
namespace {

constexpr int64_t kHistoryPageSize = 10;

Reply CommitReply(Call& call, std::string_view message) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo commit,
                           Try(FindCommit(*reader, call.names[2])).On({ErrorCode::kNotFound}, [] {
                             return NoSuchRoute();
                           }));
  STAGEFS_ASSIGN_OR_RETURN(const CommitView view, ViewOf(*reader, commit));
  return JsonReply(200, CommitBody(message, view));
}

}  // namespace

Reply GetRevision(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(
      const Resource resource,
      Try(ResolveResource(*call.repository, call.rest)).OnAny([&] { return NoPath(call.rest); }));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const RevisionView view, ViewOf(*reader, resource.revision));
  return JsonReply(200, RevisionBody(view, resource.path.str()));
}

Reply GetHistory(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(PageView page, QueryPage(call.target, kHistoryPageSize));
  STAGEFS_ASSIGN_OR_RETURN(
      const Resource resource,
      Try(ResolveResource(*call.repository, call.rest)).OnAny([&] { return NoRevision(call.rest); }));
  STAGEFS_ASSIGN_OR_RETURN(
      const CommitPage history,
      History(*call.repository).LogOf(resource.revision.commit.id, resource.path, (page.number - 1) * page.size,
                               static_cast<size_t>(page.size)));
  if (history.total == 0) return NoPath(resource.path.str());
  page.total_entries = history.total;
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto views, ViewsOf(*reader, history.commits));
  return JsonReply(200, CommitsBody(views, page));
}

Reply GetCommit(Call& call) { return CommitReply(call, kFound); }
Reply CompleteCommit(Call& call) { return CommitReply(call, kCreated); }

}  // namespace stagefs
