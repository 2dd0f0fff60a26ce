# The program of the example: says hello over the UART, tests the core, prints primes and 20!,
# then sends back what it hears in upper case until end of transmission (0x04).
#
# firmware.hex is made from this by firmware/assemble.sh and kept beside it, so that the example
# needs no RISC-V tools.

    .equ    UART, 0x80000000
    .equ    LEDS, 4

# check fails the self-test with the line's own number unless a op b is want.
    .macro  check op, a, b, want
    addi    s1, s1, 1
    li      t0, \a
    li      t1, \b
    \op     t2, t0, t1
    li      t3, \want
    bne     t2, t3, failed
    .endm

    .globl  _start
_start:
    li      sp, 8192
    li      gp, UART
    la      a0, hello
    call    puts
    call    selftest
    call    primes
    call    factorial
    la      a0, prompt
    call    puts

    li      s0, 0               # bytes sent back
echo:
    lw      a0, 0(gp)
    bltz    a0, echo
    andi    a0, a0, 0xff
    li      t0, 4
    beq     a0, t0, stop
    li      t0, 'a'
    bltu    a0, t0, 1f
    li      t0, 'z' + 1
    bgeu    a0, t0, 1f
    addi    a0, a0, 'A' - 'a'
1:  addi    s0, s0, 1
    sw      s0, LEDS(gp)
    call    putc
    j       echo
stop:
    ebreak

# ---- output --------------------------------------------------------------------------------
putc:                           # a0: byte
    sw      a0, 0(gp)
    ret

puts:                           # a0: string
    mv      t0, a0
1:  lbu     t1, 0(t0)
    beqz    t1, 2f
    sw      t1, 0(gp)
    addi    t0, t0, 1
    j       1b
2:  ret

putdec:                         # a0: number
    addi    t2, sp, -16
    mv      t1, t2
    li      t3, 10
1:  remu    t0, a0, t3
    divu    a0, a0, t3
    addi    t0, t0, '0'
    addi    t1, t1, -1
    sb      t0, 0(t1)
    bnez    a0, 1b
2:  lbu     t0, 0(t1)
    sw      t0, 0(gp)
    addi    t1, t1, 1
    bltu    t1, t2, 2b
    ret

puthex:                         # a0: word
    li      t0, 28
1:  srl     t1, a0, t0
    andi    t1, t1, 15
    la      t2, digits
    add     t2, t2, t1
    lbu     t1, 0(t2)
    sw      t1, 0(gp)
    addi    t0, t0, -4
    bgez    t0, 1b
    ret

# ---- work ----------------------------------------------------------------------------------
primes:
    mv      s11, ra
    la      a0, primes_are
    call    puts
    li      s2, 2
1:  li      s3, 2
2:  mul     t0, s3, s3
    bgtu    t0, s2, 3f          # no divisor up to the root: prime
    rem     t0, s2, s3
    beqz    t0, 4f
    addi    s3, s3, 1
    j       2b
3:  li      a0, ' '
    call    putc
    mv      a0, s2
    call    putdec
4:  addi    s2, s2, 1
    li      t0, 50
    blt     s2, t0, 1b
    li      a0, '\n'
    call    putc
    jr      s11

factorial:                      # of 20, in s3:s2
    mv      s11, ra
    la      a0, factorial_is
    call    puts
    li      s2, 1
    li      s3, 0
    li      s4, 20
1:  mulhu   t0, s2, s4
    mul     s2, s2, s4
    mul     s3, s3, s4
    add     s3, s3, t0
    addi    s4, s4, -1
    bnez    s4, 1b
    mv      a0, s3
    call    puthex
    mv      a0, s2
    call    puthex
    li      a0, '\n'
    call    putc
    jr      s11

# ---- self-test -----------------------------------------------------------------------------
selftest:
    mv      s11, ra
    li      s1, 0
    check   add, 0x12345678, 0x9abcdef0, 0xacf13568
    check   add, 0x80000000, 0xffffffff, 0x7fffffff
    check   add, 0xfffffff9, 0x00000003, 0xfffffffc
    check   sub, 0x12345678, 0x9abcdef0, 0x77777788
    check   sub, 0x80000000, 0xffffffff, 0x80000001
    check   sub, 0xfffffff9, 0x00000003, 0xfffffff6
    check   sll, 0x12345678, 0x9abcdef0, 0x56780000
    check   sll, 0x80000000, 0xffffffff, 0x00000000
    check   sll, 0xfffffff9, 0x00000003, 0xffffffc8
    check   sll, 0x00000001, 0x0000001f, 0x80000000
    check   slt, 0x12345678, 0x9abcdef0, 0x00000000
    check   slt, 0x80000000, 0xffffffff, 0x00000001
    check   slt, 0xfffffff9, 0x00000003, 0x00000001
    check   sltu, 0x12345678, 0x9abcdef0, 0x00000001
    check   sltu, 0x80000000, 0xffffffff, 0x00000001
    check   sltu, 0xfffffff9, 0x00000003, 0x00000000
    check   xor, 0x12345678, 0x9abcdef0, 0x88888888
    check   xor, 0x80000000, 0xffffffff, 0x7fffffff
    check   xor, 0xfffffff9, 0x00000003, 0xfffffffa
    check   srl, 0x12345678, 0x9abcdef0, 0x00001234
    check   srl, 0x80000000, 0xffffffff, 0x00000001
    check   srl, 0xfffffff9, 0x00000003, 0x1fffffff
    check   sra, 0x12345678, 0x9abcdef0, 0x00001234
    check   sra, 0x80000000, 0xffffffff, 0xffffffff
    check   sra, 0xfffffff9, 0x00000003, 0xffffffff
    check   sra, 0x80000000, 0x0000001f, 0xffffffff
    check   or, 0x12345678, 0x9abcdef0, 0x9abcdef8
    check   or, 0x80000000, 0xffffffff, 0xffffffff
    check   or, 0xfffffff9, 0x00000003, 0xfffffffb
    check   and, 0x12345678, 0x9abcdef0, 0x12345670
    check   and, 0x80000000, 0xffffffff, 0x80000000
    check   and, 0xfffffff9, 0x00000003, 0x00000001
    check   mul, 0x12345678, 0x9abcdef0, 0x242d2080
    check   mul, 0x80000000, 0xffffffff, 0x80000000
    check   mul, 0xfffffff9, 0x00000003, 0xffffffeb
    check   mulh, 0x12345678, 0x9abcdef0, 0xf8cc93d6
    check   mulh, 0x80000000, 0xffffffff, 0x00000000
    check   mulh, 0xfffffff9, 0x00000003, 0xffffffff
    check   mulhsu, 0x12345678, 0x9abcdef0, 0x0b00ea4e
    check   mulhsu, 0x80000000, 0xffffffff, 0x80000000
    check   mulhsu, 0xfffffff9, 0x00000003, 0xffffffff
    check   mulhu, 0x12345678, 0x9abcdef0, 0x0b00ea4e
    check   mulhu, 0x80000000, 0xffffffff, 0x7fffffff
    check   mulhu, 0xfffffff9, 0x00000003, 0x00000002
    check   div, 0x12345678, 0x9abcdef0, 0x00000000
    check   div, 0x80000000, 0xffffffff, 0x80000000
    check   div, 0xfffffff9, 0x00000003, 0xfffffffe
    check   div, 0x00000007, 0x00000000, 0xffffffff
    check   div, 0xfffffff9, 0x00000000, 0xffffffff
    check   rem, 0xfffffff9, 0x00000000, 0xfffffff9
    check   divu, 0x12345678, 0x9abcdef0, 0x00000000
    check   divu, 0x80000000, 0xffffffff, 0x00000000
    check   divu, 0xfffffff9, 0x00000003, 0x55555553
    check   divu, 0x00000007, 0x00000000, 0xffffffff
    check   rem, 0x12345678, 0x9abcdef0, 0x12345678
    check   rem, 0x80000000, 0xffffffff, 0x00000000
    check   rem, 0xfffffff9, 0x00000003, 0xffffffff
    check   rem, 0x00000007, 0x00000000, 0x00000007
    check   remu, 0x12345678, 0x9abcdef0, 0x12345678
    check   remu, 0x80000000, 0xffffffff, 0x80000000
    check   remu, 0xfffffff9, 0x00000003, 0x00000000
    check   remu, 0x80000001, 0x00000000, 0x80000001

    # immediates
    li      t0, -7
    addi    s1, s1, 1
    slti    t1, t0, -6
    sltiu   t2, t0, -8
    add     t1, t1, t2
    xori    t2, t0, -1
    add     t1, t1, t2          # 1 + 0 + 6
    srai    t2, t0, 1
    add     t1, t1, t2          # - 4
    srli    t2, t0, 28
    add     t1, t1, t2          # + 15
    slli    t2, t0, 1
    add     t1, t1, t2          # - 14
    ori     t2, t0, 6
    add     t1, t1, t2          # - 1
    andi    t2, t0, 12
    add     t1, t1, t2          # + 8
    li      t3, 11
    bne     t1, t3, failed

    # bytes and halves, signed and not, each lane
    addi    s1, s1, 1
    addi    t0, sp, -64
    li      t1, 0x80ff7f01
    sw      t1, 0(t0)
    lb      t2, 3(t0)           # -128
    lb      t3, 2(t0)           # -1
    lb      t4, 1(t0)           # 127
    lbu     t5, 2(t0)           # 255
    add     t2, t2, t3
    add     t2, t2, t4
    add     t2, t2, t5
    li      t3, 253
    bne     t2, t3, failed
    addi    s1, s1, 1
    lh      t2, 2(t0)
    li      t3, 0xffff80ff
    bne     t2, t3, failed
    lhu     t2, 2(t0)
    li      t3, 0x80ff
    bne     t2, t3, failed
    addi    s1, s1, 1
    li      t2, 0x55
    sb      t2, 1(t0)
    sh      t2, 2(t0)
    lw      t2, 0(t0)
    li      t3, 0x00555501
    bne     t2, t3, failed

    # branches that must not be taken, each in turn, then each that must
    addi    s1, s1, 1
    li      t0, -1
    li      t1, 1
    beq     t0, t1, failed
    bne     t0, t0, failed
    blt     t1, t0, failed
    bge     t0, t1, failed
    bltu    t0, t1, failed
    bgeu    t1, t0, failed
    beq     t0, t0, 1f
    j       failed
1:  bne     t0, t1, 1f
    j       failed
1:  blt     t0, t1, 1f
    j       failed
1:  bge     t1, t0, 1f
    j       failed
1:  bltu    t1, t0, 1f
    j       failed
1:  bgeu    t0, t1, 1f
    j       failed
1:
    # jalr drops the lowest bit; auipc counts from itself; x0 stays 0
    addi    s1, s1, 1
    auipc   t0, 0
    addi    t0, t0, 17
    jalr    t1, 0(t0)
    j       failed
    sub     t2, t0, t1
    li      t3, 5
    bne     t2, t3, failed
    addi    x0, t0, 1
    bnez    x0, failed
    fence

    # the counters run, and each instruction takes more than one clock
    addi    s1, s1, 1
    rdcycle t0
    rdinstret t1
    rdcycle t2
    rdinstret t3
    sub     t2, t2, t0
    sub     t3, t3, t1
    li      t4, 2
    bne     t3, t4, failed
    bgeu    t4, t2, failed
    rdcycleh t0
    bnez    t0, failed

    la      a0, passed
    call    puts
    jr      s11

failed:                         # s1: number of the check
    la      a0, failed_at
    call    puts
    mv      a0, s1
    call    putdec
    li      a0, '\n'
    call    putc
    ebreak

hello:        .asciz "brontes rv32im\n"
passed:       .asciz "selftest ok\n"
failed_at:    .asciz "selftest failed at check "
primes_are:   .asciz "primes"
factorial_is: .asciz "20! "
prompt:       .asciz "> "
digits:       .ascii "0123456789abcdef"
