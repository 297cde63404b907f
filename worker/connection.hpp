// Connection: one client's conversation: its requests are read one after another, handed out, and answered. Idle, it holds
// a socket handle and a place on the wheel, and neither a buffer nor a parser.
//   RequestReader  from bytes to requests       Sender        from answers to bytes
//   ClientSocket   the socket of both           Connection    what comes next, time limits, and the end
// Life       made by the connection pool; goes back there when libuv has closed the handle.
// Errors     what a client does wrong is answered, or ends its connection. When memory runs out, this connection is lost
//            and no other: nothing throws into libuv or a handler.
// Threads    the holder of the baton.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>

#include "worker/client_socket.hpp"
#include "worker/exchange.hpp"
#include "worker/peer.hpp"
#include "worker/relay.hpp"
#include "worker/request_reader.hpp"
#include "worker/sender.hpp"
#include "worker/wheel.hpp"

namespace narwhal::worker {

// Why a call on the socket of this peer has failed: with a client that has left that happens every day, else it is the server's
// trouble, and is logged.
const char* reason_for(int code, const Peer& peer) noexcept;

class Connection final : public WheelEntry, private Sender::Owner {
 public:
  Connection(Loop& loop, const Peer& peer)  // throws std::bad_alloc
      : loop_(loop), peer_(peer), reader_(loop, peer.wire), sender_(loop, socket_, *this) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // ---- its life ----
  enum class Begins : std::uint8_t { with_request, with_proxy_header };
  // Takes the descriptor over, whatever happens. False: it was closed, and this object goes away by itself.
  bool open(int fd, Begins begins);
  void watch();  // what open() has put off
  // Goes on with what a sibling has read and not answered; takes the buffer over.
  void continue_with(Buffer* bytes) noexcept;
  // The request in hand waits for a handler: gives it away, with the socket. False: it stays.
  bool give_to_sibling(const Relay& relay);
  // The worker is retired: an idle connection ends in `grace` from now, unless a request comes.
  void retire(std::chrono::milliseconds grace);
  void close();             // now; an answer in the making is dropped
  void expired() noexcept;  // its time limit has passed

  // ---- in its turn ----
  void read_now() noexcept;  // see Dispatcher::add_readable()
  // The answer of the exchange in hand has bytes, or has ended.
  void take_answer(Exchange& exchange, Push push) noexcept;
  void flush_held() noexcept;  // see Dispatcher::hold_answer()
  // The handler of the exchange in hand is past its deadline: answers without it.
  void answer_for(Exchange& exchange, int status, std::string_view text) noexcept;
  void resume_body() noexcept;  // the handler has made room
  // For a handler that has read all it was given: more of a body of known length. 0: nothing is there, or something that
  // the loop has to see.
  std::size_t read_body_into(char* buffer, std::size_t size) noexcept;
  bool end_seen() const noexcept { return end_seen_; }  // the client has sent its last byte

  // Places in lists (connection_list.hpp): sockets with something to read, those not yet watched, and answers held back.
  Connection *next_readable = nullptr, *next_unwatched = nullptr, *next_holding = nullptr;
  bool is_readable = false, is_unwatched = false, holds_answer = false;
  bool closed = false;  // its handle too

 private:
  enum class State : std::uint8_t { head, body, handling, lingering, closing };

  // ---- reading ----
  bool read_once();
  void resume_reading();
  void take_bytes(std::size_t count);
  void take_end();
  void read_request();
  void act_on(const RequestReader::Step& step);

  // ---- answering ----
  void send_answer(Exchange& exchange, Push push);
  void flush();
  void end_exchange(Exchange& exchange);
  void next_request();
  void abort_request();
  void refuse(const protocol::Refusal& refusal);
  void answer_plain(int status, std::string_view text);
  void on_sent(std::uint64_t bytes) override;
  void on_waiting() override;
  void on_all_sent() override;
  void on_send_failed(const SendError& error) override;

  // ---- time, and the end ----
  static constexpr std::chrono::seconds no_limit{0};
  void set_time_limit(std::chrono::seconds limit);
  void set_body_limit(std::chrono::seconds limit);
  void close_when_taken();
  void shut_down();
  void reset();
  void abort(const char* why);
  void abort_without_memory() noexcept;
  // Runs what the loop, a timer or an exchange has called, where nothing may be thrown.
  template <class Work>
  void contain(Work work) noexcept {
    try {
      work();
    } catch (const std::bad_alloc&) {
      abort_without_memory();
    }
  }

  Loop& loop_;
  Peer peer_;
  State state_ = State::head;
  bool end_seen_ = false;
  bool close_after_ = false;  // when all is sent
  bool retired_ = false;
  bool unread_ = false;          // the client may still be sending when the connection ends
  bool cut_ = false;             // it ends with a reset: the answer is not whole
  bool keeps_ = false;           // after the request in hand, as far as that says; of FastCGI
  bool begins_request_ = false;  // read_request() is running
  ClientSocket socket_;
  RequestReader reader_;
  Sender sender_;
  Exchange* exchange_ = nullptr;  // in hand
  std::uint64_t counted_ = 0;     // bytes of its answer that were sent, where segments are counted
  std::size_t replied_ = 0;       // bytes of FastCGI's replies since all was sent
  std::size_t lingered_ = 0;      // bytes of the client that were dropped
  std::size_t untaken_ = 0;       // by the client, when an idle or lingering connection was last looked at
};

}  // namespace narwhal::worker
