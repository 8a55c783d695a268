// layer: process
// expect: specialise tenure::wire::codec<E>, which brings its fields along, or give it a constructor that takes the text
#include <tenure/process/known_error.hpp>

class odd : public std::exception {
public:
    explicit odd(int code) : code_(code) {}

private:
    int code_;
};
const tenure::process::known_error<odd> odd_is_known;
