// What a server and its repositories do, in Prometheus' text format.
#include <prometheus/text_serializer.h>

#include <sstream>

#include "handlers.h"
#include "rows.h"
#include "stagefs/counters.h"
#include "stagefs/parallel.h"
#include "stagefs/repositories.h"
#include "wire/reply.h"

namespace stagefs {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Counter(const char* name, const char* help, int64_t value) {
  ClientMetric metric;
  metric.counter.value = static_cast<double>(value);
  return {name, help, MetricType::Counter, {metric}};
}

MetricFamily Gauge(const char* name, const char* help, double value) {
  ClientMetric metric;
  metric.gauge.value = value;
  return {name, help, MetricType::Gauge, {metric}};
}

MetricFamily Histogram(const char* name, const char* help, const LatencyCounter& latency) {
  ClientMetric metric;
  metric.histogram.sample_count = static_cast<uint64_t>(latency.count());
  metric.histogram.sample_sum = latency.sum_seconds();
  for (size_t i = 0; i < LatencyCounter::kBoundsSeconds.size(); ++i) {
    metric.histogram.bucket.push_back(
        {static_cast<uint64_t>(latency.bucket(i)), LatencyCounter::kBoundsSeconds[i]});
  }
  return {name, help, MetricType::Histogram, {metric}};
}

// Of the repositories that are open here; one whose index does not answer is left out, and counted as an
// index error.
MetricFamily StagedEntries(Root& root) {
  MetricFamily family{"stagefs_staged_entries", "Staged entries of a workspace.", MetricType::Gauge, {}};
  // Together, so that those whose databases are silent are waited for once.
  const auto repositories = root.Opened();
  std::vector<std::vector<std::pair<WorkspaceInfo, int64_t>>> counts(repositories.size());
  (void)InParallel(repositories.size(), kRequestsAtOnce, [&](uint64_t i) -> Status {
    if (auto counted = CountStaged(*repositories[i])) counts[i] = std::move(*counted);
    return {};
  });
  for (size_t i = 0; i < repositories.size(); ++i) {
    for (const auto& [workspace, count] : counts[i]) {
      ClientMetric metric;
      metric.label = {{"repository", repositories[i]->name().ToString()},
                      {"workspace", workspace.name.value_or(workspace.uid)}};
      metric.gauge.value = static_cast<double>(count);
      family.metric.push_back(std::move(metric));
    }
  }
  return family;
}

}  // namespace

Reply GetMetrics(Call& call) {
  const ProcessCounters& now = Counters();
  std::vector<MetricFamily> families = {
      StagedEntries(call.root),
      Histogram("stagefs_batch_seconds", "How long manifests took to be staged.", now.batch),
      Counter("stagefs_batch_entries_total", "Entries of manifests.", now.batch_entries),
      Counter("stagefs_batch_refused_total", "Entries of manifests that were refused.", now.batch_refused),
      Counter("stagefs_index_errors_total", "Questions and changes that the database failed.",
              now.index_errors),
      Counter("stagefs_index_reconnects_total", "Connections to the database made anew.",
              now.index_reconnects),
      Counter("stagefs_s3_requests_total", "Requests to S3.", now.s3_requests),
      Counter("stagefs_s3_retries_total", "Requests to S3 that were tried again.", now.s3_retries),
      Counter("stagefs_s3_errors_total", "Requests to S3 that were given up.", now.s3_errors),
      Counter("stagefs_s3_sent_bytes_total", "Bytes sent to S3.", now.s3_bytes_sent),
      Counter("stagefs_s3_received_bytes_total", "Bytes received from S3.", now.s3_bytes_received),
      Counter("stagefs_cache_hits_total", "Versions read from this machine's cache.", now.cache_hits),
      Counter("stagefs_cache_misses_total", "Versions fetched from S3.", now.cache_misses),
      Counter("stagefs_cache_dropped_total", "Versions dropped from the cache to make room.",
              now.cache_dropped),
      Gauge("stagefs_cache_bytes", "What the cache holds.", static_cast<double>(now.cache_bytes)),
      Gauge("stagefs_notifier_lag_seconds", "From learning of others' changes to the kernel's knowing them.",
            static_cast<double>(now.notifier_lag_ms) / 1e3)};
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  HttpResponse response = JsonReply(200, text.str());
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return response;
}

}  // namespace stagefs
