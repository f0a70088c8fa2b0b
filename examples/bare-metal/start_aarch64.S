/* Starts an AArch64 machine at EL1 with RAM from 1 GB upwards, such as QEMU's `-M virt`. */

    .section .text.start, "ax"
    .global _start
_start:
    adrp x0, stack_top
    add x0, x0, :lo12:stack_top
    mov sp, x0

    /* Floating point and vectors trap until CPACR_EL1.FPEN allows them. */
    mov x0, #(3 << 20)
    msr cpacr_el1, x0
    isb

    /* While the MMU is off all memory counts as a device, where an access that is not aligned to its size faults,
       and vectors are aligned to their elements only. So memory is mapped to itself: the first GB as a device,
       the second as normal, cached memory. */
    ldr x0, =0xff00                 /* attribute 0: device, attribute 1: normal, write-back */
    msr mair_el1, x0
    ldr x0, =0x803519               /* 39 bits of address, 4 KB granule, cached shareable walks, no upper half */
    msr tcr_el1, x0
    adrp x0, page_table
    add x0, x0, :lo12:page_table
    msr ttbr0_el1, x0
    dsb sy
    isb
    mrs x0, sctlr_el1
    ldr x1, =0x1005                 /* MMU, data cache, instruction cache */
    orr x0, x0, x1
    msr sctlr_el1, x0
    isb

    adrp x0, bss_start
    add x0, x0, :lo12:bss_start
    adrp x1, bss_end
    add x1, x1, :lo12:bss_end
1:  cmp x0, x1
    b.hs 2f
    str xzr, [x0], #8
    b 1b
2:  bl main

    /* Semihosting: SYS_EXIT with ADP_Stopped_ApplicationExit and the status. */
    adrp x1, exit_block
    add x1, x1, :lo12:exit_block
    str x0, [x1, #8]
    mov x0, #0x18
    hlt #0xf000
3:  wfi
    b 3b

    .data
    .balign 8
exit_block:
    .quad 0x20026
    .quad 0

    /* One entry per GB: block, access flag, shareability, attribute. */
    .section .rodata.page_table, "a"
    .balign 4096
page_table:
    .quad 0x00000401                /* device */
    .quad 0x40000705                /* normal, inner shareable */
    .fill 510, 8, 0

    .section .rodata.digits, "a"
    .global digits, digits_end
digits:
    .incbin "digits.bin"
digits_end:

    .section .note.GNU-stack, "", %progbits
