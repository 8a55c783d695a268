// Everything of tenure that a program uses every day, in namespace tenure.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/error.hpp>
#include <tenure/base/outcome.hpp>
#include <tenure/core/all.hpp>
#include <tenure/core/callback.hpp>
#include <tenure/core/channel.hpp>
#include <tenure/core/cleanup.hpp>
#include <tenure/core/context.hpp>
#include <tenure/core/context_scope.hpp>
#include <tenure/core/event.hpp>
#include <tenure/core/future.hpp>
#include <tenure/core/group.hpp>
#include <tenure/core/group_options.hpp>
#include <tenure/core/observe.hpp>
#include <tenure/core/promise.hpp>
#include <tenure/core/run_blocking.hpp>
#include <tenure/core/scope.hpp>
#include <tenure/core/select.hpp>
#include <tenure/core/sleep.hpp>
#include <tenure/core/start.hpp>
#include <tenure/core/stream.hpp>
#include <tenure/core/stream_combine.hpp>
#include <tenure/core/task.hpp>
#include <tenure/core/task_set.hpp>
#include <tenure/core/this_task.hpp>
#include <tenure/core/timer.hpp>
#include <tenure/io/child.hpp>
#include <tenure/io/command.hpp>
#include <tenure/io/descriptor.hpp>
#include <tenure/io/signals.hpp>
#include <tenure/io/unique_fd.hpp>
#include <tenure/parallel/map.hpp>
#include <tenure/parallel/parallel_for.hpp>
#include <tenure/process/enter_worker.hpp>
#include <tenure/process/pool.hpp>
#include <tenure/run.hpp>
#include <tenure/runner/local.hpp>
#include <tenure/runtime.hpp>

namespace tenure::inline v0 {

using base::abandoned;
using base::cancelled;
using base::cause;
using base::closed_error;
using base::dependency_failed;
using base::duration;
using base::error;
using base::group_error;
using base::never;
using base::outcome;
using base::reason;
using base::stalled_error;
using base::task_cancelled;
using base::task_failure;
using base::time_point;
using base::timeout_error;
using base::usage_error;

using core::abandon_on_cancel;
using core::all;
using core::any;
using core::as_handle;
using core::as_outcome;
using core::at_end;
using core::biased;
using core::call_later;
using core::callback_handle;
using core::cancel_guard;
using core::channel;
using core::checkpoint;
using core::context;
using core::context_key;
using core::defer;
using core::event;
using core::every;
using core::future;
using core::group;
using core::group_options;
using core::merge;
using core::move_on_after;
using core::promise;
using core::promised;
using core::run_blocking;
using core::select_any;
using core::shield;
using core::sink;
using core::sleep_for;
using core::sleep_until;
using core::spawn_options;
using core::spawn_stream;
using core::started;
using core::stream;
using core::stream_of;
using core::stream_options;
using core::strict;
using core::supervise;
using core::task;
using core::task_set;
using core::task_status;
using core::tee;
using core::ticks;
using core::timeout_scope;
using core::timer;
using core::timer_options;
using core::with_cleanup;
using core::with_context;
using core::with_deadline;
using core::with_group;
using core::with_stop_token;
using core::with_stream;
using core::with_timeout;
using core::with_value;
using core::without_cancel;
using core::yield;
using core::zip;

using io::capture;
using io::command;
using io::command_error;
using io::command_result;
using io::descriptor;
using io::inherited;
using io::null_device;
using io::run_command;
using io::sharing;
using io::signal_info;
using io::signal_set;
using io::unique_fd;

using parallel::item_index;
using parallel::item_outcome;
using parallel::item_status;
using parallel::loop_options;
using parallel::map;
using parallel::map_options;
using parallel::map_outcomes;
using parallel::map_progress;
using parallel::order;
using parallel::parallel_for;
using parallel::progress_line;
using parallel::reduce;

using process::call_options;
using process::enter_worker;
using process::pool_options;
using process::pool_status;
using process::remote_info;
using process::start_error;
using process::start_method;
using process::worker_died;
/// Worker processes, as a runner and with calls of their own.
using processes = process::pool;

// The class is tenure::runner::runner: its layer has the short name.
using runner::call;
using runner::fn;
using runner::inline_runner;
using runner::remote_error;
using runner::submit;
using runner::threads;

namespace this_task = core::this_task;

} // namespace tenure::inline v0
