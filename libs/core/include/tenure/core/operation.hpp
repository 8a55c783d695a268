// For layers above core that write operations of their own: what to implement, and what to call.
//
//   class my_operation : public core::detail::operation {        // something that is waited for and can be withdrawn
//       using tenure_operation = void;                           // marks it as awaitable (detail/frame.hpp: the promises)
//       static constexpr bool is_checkpoint = true;
//       bool ready();                                            // done already?
//       void start(core::detail::strand& s, core::detail::frame&);  // s.wait(this), then arrange for s.complete()
//       bool try_cancel() noexcept override;                     // true: withdrawn, complete() will not be called
//       T result();
//   };
// Whoever completes an operation calls strand::complete() once, from any thread, holding no lock that the woken task
// could need, and touches neither strand nor operation afterwards.
#pragma once
#include <tenure/core/detail/frame.hpp>
#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/detail/strand.hpp>
