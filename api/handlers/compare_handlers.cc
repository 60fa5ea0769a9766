// What two commits show differently: commits, folders, files.
#include "comparison.h"
#include "handlers.h"
#include "spilling_body.h"
#include "stagefs/history.h"
#include "view_of.h"
#include "wire/compare_bodies.h"
#include "wire/query.h"
#include "wire/reply.h"

namespace stagefs {
namespace {

constexpr int64_t kPageSizeDefault = 100;

}  // namespace

Reply CompareCommits(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(PageView page, QueryPage(call.target, kPageSizeDefault));
  STAGEFS_ASSIGN_OR_RETURN(const Compared compared, FindCompared(call));
  STAGEFS_ASSIGN_OR_RETURN(
      const ApartPage apart,
      History(*call.repository).LogApart(compared.base.commit.seq, compared.head.commit.seq, compared.apart,
                                         (page.number - 1) * page.size, static_cast<size_t>(page.size)));
  page.total_entries = apart.total;
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  std::vector<ApartView> views;
  for (const auto& [commit, of_base] : apart.commits) {
    STAGEFS_ASSIGN_OR_RETURN(CommitView view, ViewOf(*reader, commit));
    views.push_back({std::move(view), of_base});
  }
  STAGEFS_ASSIGN_OR_RETURN(const CommitView base, ViewOf(*reader, compared.base.commit));
  STAGEFS_ASSIGN_OR_RETURN(const CommitView head, ViewOf(*reader, compared.head.commit));
  return JsonReply(200, ComparedCommitsBody(base, head, views, page));
}

Reply CompareFolders(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(Compared compared, FindCompared(call));
  STAGEFS_RETURN_IF_ERROR(TakeMergeBase(*call.repository, &compared));
  SpillingBody body(call.repository->incoming());
  ChangedFoldersBody folders([&](std::string_view text) { return body.Write(text); });
  STAGEFS_RETURN_IF_ERROR(folders.Begin());
  STAGEFS_RETURN_IF_ERROR(ForEachChangedFolder(*call.repository, compared, [&](const ChangedFolderView& folder) {
    return folders.Add(folder);
  }));
  STAGEFS_RETURN_IF_ERROR(folders.End());
  return body.Finish(200);
}

Reply CompareEntries(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const PageView page, QueryPage(call.target, kPageSizeDefault));
  STAGEFS_ASSIGN_OR_RETURN(Compared compared, FindComparedFolder(call));
  STAGEFS_RETURN_IF_ERROR(TakeMergeBase(*call.repository, &compared));
  STAGEFS_ASSIGN_OR_RETURN(const ComparisonView view,
                           Try(ViewComparison(*call.repository, compared, page)).On({ErrorCode::kNotFound}, [&] {
                             return NoPath(compared.path.str());
                           }));
  return JsonReply(200, ComparedEntriesBody(view));
}

Reply CompareFile(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(Compared compared, FindComparedPath(call));
  STAGEFS_RETURN_IF_ERROR(TakeMergeBase(*call.repository, &compared));
  STAGEFS_ASSIGN_OR_RETURN(const FileComparisonView view,
                           Try(ViewFileComparison(*call.repository, compared)).On({ErrorCode::kNotFound}, [&] {
                             return NoPath(compared.path.str());
                           }));
  return JsonReply(200, ComparedFileBody(view));
}

}  // namespace stagefs
