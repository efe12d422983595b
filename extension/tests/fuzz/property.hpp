// What the fuzz targets share: a property that ends the run if it is broken, and input in a buffer
// of just its size, so that the address sanitizer sees a read past its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace coupon_guard::fuzzing {

inline void require(bool holds, const char *property) {
    if (holds)
        return;
    std::fprintf(stderr, "broken property: %s\n", property);
    std::abort();
}

class exact_copy {
  public:
    explicit exact_copy(std::string_view text)
        : size_(text.size())
        , bytes_(new char[text.size()]) {
        if (!text.empty())
            std::memcpy(bytes_.get(), text.data(), text.size());
    }
    std::string_view view() const { return {bytes_.get(), size_}; }

  private:
    std::size_t size_;
    std::unique_ptr<char[]> bytes_;
};

} // namespace coupon_guard::fuzzing
