package pm

import "strconv"

// Errno is an error of a command: the number that Linux's path manager gives.
type Errno uint8

// The error numbers.
const (
	ENOENT     Errno = 2
	ESRCH      Errno = 3
	EBUSY      Errno = 16
	EEXIST     Errno = 17
	EINVAL     Errno = 22
	ERANGE     Errno = 34
	EOPNOTSUPP Errno = 95
	// of subflows
	ECONNRESET   Errno = 104
	ETIMEDOUT    Errno = 110
	ECONNREFUSED Errno = 111
)

// Error says what the number means here.
func (e Errno) Error() string {
	switch e {
	case ENOENT:
		return "pm: there is no such path manager (ENOENT)"
	case ESRCH:
		return "pm: no such connection or subflow (ESRCH)"
	case EBUSY:
		return "pm: the id is taken (EBUSY)"
	case EEXIST:
		return "pm: the address is an endpoint (EEXIST)"
	case EINVAL:
		return "pm: invalid endpoint, address or id (EINVAL)"
	case ERANGE:
		return "pm: there are as many endpoints as there may be (ERANGE)"
	case EOPNOTSUPP:
		return "pm: an endpoint is meant by address or id (EOPNOTSUPP)"
	}
	return "pm: error " + strconv.Itoa(int(e))
}
