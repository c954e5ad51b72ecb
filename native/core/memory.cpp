#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include <algorithm>
#include <map>
#include <mutex>
#include <stdexcept>

namespace loquent {

namespace {

/** Files mapped into this process, by address: only their pages may be dropped, as any others would be lost. */
struct Files {
  std::mutex mutex;
  std::map<uintptr_t, size_t> bytes;
};
Files& files() {
  static Files all;
  return all;
}

}  // namespace

#if defined(__linux__)
/** Before a page is touched: pages are taken where the thread that touches them first runs, unless this says otherwise. */
void Memory::place(const std::vector<int32_t>& nodes) {
  // Of linux/mempolicy.h, which is not everywhere.
  constexpr int preferred = 1, interleave = 3;
  constexpr int32_t mostNodes = 1024, wordBits = 8 * sizeof(unsigned long);
  unsigned long mask[mostNodes / wordBits] = {};
  for (const int32_t node : nodes) {
    if (node < 0 || node >= mostNodes) throw std::runtime_error("no memory node " + std::to_string(node));
    mask[node / wordBits] |= 1ul << node % wordBits;
  }
  const int mode = nodes.size() == 1 ? preferred : interleave;
  // The system counts the bits of the mask from one.
  if (syscall(SYS_mbind, data_, bytes_, mode, mask, static_cast<unsigned long>(mostNodes) + 1, 0) != 0) {
    throw std::runtime_error(std::string("the system refuses to place memory on nodes: ") + strerror(errno));
  }
}
#else
void Memory::place(const std::vector<int32_t>&) { throw std::runtime_error("memory is placed on nodes on Linux only"); }
#endif

std::shared_ptr<Memory> Memory::reserve(size_t bytes, const std::vector<int32_t>& nodes) {
  if (bytes == 0) return std::shared_ptr<Memory>(new Memory(nullptr, 0));
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    throw std::runtime_error("cannot reserve " + std::to_string(bytes) + " bytes: " + strerror(errno));
  }
#ifdef MADV_HUGEPAGE
  // Advice only: without huge pages a matrix that streams past costs a page walk every 4 KiB.
  madvise(p, bytes, MADV_HUGEPAGE);
#endif
  const auto memory = std::shared_ptr<Memory>(new Memory(static_cast<uint8_t*>(p), bytes));
  if (!nodes.empty()) memory->place(nodes);
  return memory;
}

std::shared_ptr<Memory> Memory::mapFile(const std::string& path) {
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw std::runtime_error("cannot open " + path + ": " + strerror(errno));
  struct stat status;
  void* p = nullptr;
  int error = fstat(file, &status) == 0 ? 0 : errno;
  size_t bytes = error ? 0 : static_cast<size_t>(status.st_size);
  if (!error && !S_ISREG(status.st_mode)) error = EISDIR;
  if (!error && bytes > 0) {
    p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    if (p == MAP_FAILED) error = errno;
  }
  close(file);
  if (error) throw std::runtime_error("cannot map " + path + ": " + strerror(error));
  if (p) {
    std::lock_guard<std::mutex> lock(files().mutex);
    files().bytes[reinterpret_cast<uintptr_t>(p)] = bytes;
  }
  return std::shared_ptr<Memory>(new Memory(static_cast<uint8_t*>(p), bytes, true));
}

void Memory::drop(const uint8_t* data, size_t bytes) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), at = reinterpret_cast<uintptr_t>(data);
  std::lock_guard<std::mutex> lock(files().mutex);
  auto file = files().bytes.upper_bound(at);
  if (file == files().bytes.begin()) return;
  --file;
  const uintptr_t end = file->first + file->second;
  if (at >= end || bytes == 0) return;
  const uintptr_t first = at / page * page, last = (std::min(at + bytes, end) + page - 1) / page * page;
  madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

Memory::~Memory() {
  if (!data_) return;
  if (file_) {
    std::lock_guard<std::mutex> lock(files().mutex);
    files().bytes.erase(reinterpret_cast<uintptr_t>(data_));
  }
  munmap(data_, bytes_);
}

}  // namespace loquent
