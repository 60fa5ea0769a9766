#include "import_oxen.h"

#include <algorithm>
#include <filesystem>

#include "put_files.h"
#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

struct OxenVersion {
  std::string path;  // Of `data`.
  std::string hash;  // As the folders' names say.
};

std::string FilesFolderOf(const std::string& path) {
  std::error_code error;
  for (const char* below : {"/.oxen/versions/files", "/versions/files", "/files", ""}) {
    const std::string folder = path + below;
    if (!std::filesystem::is_directory(folder, error)) continue;
    // `path` itself counts only if it looks like one.
    if (*below != '\0' || std::filesystem::path(folder).filename() == "files") return folder;
  }
  return "";
}

Result<std::vector<OxenVersion>> List(const std::string& folder, std::vector<std::string>* failed) {
  std::vector<OxenVersion> versions;
  STAGEFS_ASSIGN_OR_RETURN(const auto firsts, ListNames(folder));
  for (const std::string& first : firsts) {
    const auto rests = ListNames(folder + '/' + first);
    if (!rests && rests.error().code() == ErrorCode::kNotDirectory) continue;
    if (!rests) return rests.error();
    for (const std::string& rest : *rests) {
      const std::string data = folder + '/' + first + '/' + rest + "/data";
      std::error_code missing;
      if (!std::filesystem::is_regular_file(data, missing)) continue;
      std::string hash = first + rest;
      if (const auto parsed = HashRef::Parse(hash); !parsed || parsed->xxh3() == nullptr) {
        failed->push_back(data + ": its folders are not named by an XXH3 hash");
        continue;
      }
      versions.push_back({data, std::move(hash)});
    }
  }
  std::sort(versions.begin(), versions.end(),
            [](const OxenVersion& a, const OxenVersion& b) { return a.path < b.path; });
  return versions;
}

Status ImportGroup(Repository& repository, const std::vector<OxenVersion>& group, ImportReport* report) {
  std::vector<std::string> paths;
  for (const OxenVersion& version : group) paths.push_back(version.path);
  auto copied = CopyGroup(repository, paths);
  std::vector<IncomingFile> files;
  for (size_t i = 0; i < group.size(); ++i) {
    Result<IncomingFile>& file = *copied[i];
    if (!file && file.error().code() == ErrorCode::kNoSpace) return file.error();
    if (!file) {
      report->failed.push_back(file.error().message());
      continue;
    }
    STAGEFS_ASSIGN_OR_RETURN(const HashRef claimed, HashRef::Parse(group[i].hash));
    if (!claimed.Names(file->Finish())) {
      report->failed.push_back(group[i].path + ": damaged: its bytes hash to " + ToHex(file->Finish().xxh3));
      continue;
    }
    report->bytes += file->size_bytes();
    files.push_back(std::move(*file));
  }
  report->imported += static_cast<int64_t>(files.size());
  if (files.empty()) return {};
  return repository.Adopt(std::move(files)).WithoutValue();
}

}  // namespace

Result<ImportReport> ImportOxen(Repository& repository, const std::string& path,
                                const std::function<void(int64_t, int64_t)>& progress) {
  const std::string folder = FilesFolderOf(path);
  if (folder.empty()) {
    return Error(ErrorCode::kNotFound,
                 path +
                     " holds no Oxen version store: name the folder of an Oxen repository, "
                     "which has .oxen/versions/files in it");
  }
  ImportReport report;
  STAGEFS_ASSIGN_OR_RETURN(const auto versions, List(folder, &report.failed));
  std::vector<OxenVersion> group;
  for (size_t i = 0; i < versions.size(); ++i) {
    if (repository.FindStored(versions[i].hash)) ++report.there_already;
    else group.push_back(versions[i]);
    if (group.size() < kGroupFilesMax && i + 1 < versions.size()) continue;
    STAGEFS_RETURN_IF_ERROR(ImportGroup(repository, group, &report));
    group.clear();
    progress(static_cast<int64_t>(i + 1), static_cast<int64_t>(versions.size()));
  }
  return report;
}

}  // namespace stagefs
