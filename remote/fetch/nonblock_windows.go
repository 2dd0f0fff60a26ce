package fetch

// nonBlock is of no use where a path cannot be a FIFO.
const nonBlock = 0
