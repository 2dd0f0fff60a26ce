`timescale 1ns / 1ps
`default_nettype none
// RV32IM with Zicntr, one instruction at a time: fetch, read, execute, then memory or a serial
// unit where one is needed, and write. It stops for good, with trap up, at ecall, ebreak, an
// instruction it does not know and an address that is not aligned.
//
// Bus: valid stays up with a steady address until ready; wmask of 0 is a read.
module brontes_core #(
    parameter [31:0] RESET = 32'h0
) (
    input  wire        clk,
    input  wire        rst,
    output reg         valid,
    input  wire        ready,
    output reg  [31:0] addr,
    output reg  [31:0] wdata,
    output reg  [3:0]  wmask,
    input  wire [31:0] rdata,
    output reg         trap
);
  localparam FETCH = 3'd0, READ = 3'd1, EXEC = 3'd2, SHIFT = 3'd3, MULDIV = 3'd4, MEM = 3'd5, WRITE = 3'd6, HALT = 3'd7;
  reg [2:0] state;

  reg [31:0] pc, instr, result;
  reg [31:0] regs[0:31];  // one write and two reads: block RAM, so all begin as 0
  reg [31:0] a, b;
  integer i;
  initial for (i = 0; i < 32; i = i + 1) regs[i] = 0;

  // ---- decode ----------------------------------------------------------------------------
  wire [6:0] opcode = instr[6:0];
  wire [2:0] f3 = instr[14:12];
  wire [6:0] f7 = instr[31:25];
  wire [4:0] rd = instr[11:7];

  wire is_lui    = opcode == 7'b0110111;
  wire is_auipc  = opcode == 7'b0010111;
  wire is_jal    = opcode == 7'b1101111;
  wire is_jalr   = opcode == 7'b1100111 && f3 == 0;
  wire is_branch = opcode == 7'b1100011 && f3[2:1] != 2'b01;
  wire is_load   = opcode == 7'b0000011 && f3 != 3'b011 && f3[2:1] != 2'b11;
  wire is_store  = opcode == 7'b0100011 && f3[2] == 0 && f3 != 3'b011;
  wire is_imm    = opcode == 7'b0010011;
  wire is_reg    = opcode == 7'b0110011;
  wire is_fence  = opcode == 7'b0001111;
  wire is_csrr   = opcode == 7'b1110011 && f3 == 3'b010 && instr[19:15] == 0;  // csrrs rd, csr, x0

  wire is_muldiv = is_reg && f7 == 7'b0000001;
  wire is_sll    = f3 == 3'b001, is_sr = f3 == 3'b101;
  wire is_shift  = (is_imm && is_sll && f7 == 0) || (is_imm && is_sr && (f7 & 7'b1011111) == 0) ||
                   (is_reg && is_sll && f7 == 0) || (is_reg && is_sr && (f7 & 7'b1011111) == 0);
  wire is_alu    = (is_imm && !is_sll && !is_sr) ||
                   (is_reg && (f7 == 0 || (f7 == 7'b0100000 && f3 == 0)) && !is_sll && !is_sr);

  wire [31:0] imm_i = {{20{instr[31]}}, instr[31:20]};
  wire [31:0] imm_s = {{20{instr[31]}}, instr[31:25], instr[11:7]};
  wire [31:0] imm_b = {{19{instr[31]}}, instr[31], instr[7], instr[30:25], instr[11:8], 1'b0};
  wire [31:0] imm_u = {instr[31:12], 12'b0};
  wire [31:0] imm_j = {{11{instr[31]}}, instr[31], instr[19:12], instr[20], instr[30:21], 1'b0};

  // ---- arithmetic ------------------------------------------------------------------------
  wire [31:0] y = is_imm ? imm_i : b;
  wire        sub = is_branch || (is_reg && f7[5]) || f3[2:1] == 2'b01;
  wire [32:0] sum = {1'b0, a} + {1'b0, sub ? ~y : y} + {32'b0, sub};
  wire        eq = a == b;
  wire        ltu = !sum[32];
  wire        lt = (a[31] ^ y[31]) ? a[31] : ltu;

  reg [31:0] alu;
  always @*
    case (f3)
      3'b010:  alu = {31'b0, lt};
      3'b011:  alu = {31'b0, ltu};
      3'b100:  alu = a ^ y;
      3'b110:  alu = a | y;
      3'b111:  alu = a & y;
      default: alu = sum[31:0];
    endcase

  wire taken = f3[0] ^ (f3[2] ? (f3[1] ? ltu : lt) : eq);
  wire [31:0] target = (is_jalr ? a : pc) + (is_jalr ? imm_i : is_jal ? imm_j : is_branch ? imm_b : imm_u);

  reg [4:0] shamt;

  wire        md_done;
  wire [31:0] md_result;
  brontes_muldiv muldiv (
      .clk(clk), .rst(rst), .start(state == EXEC && is_muldiv), .op(f3), .a(a), .b(b),
      .done(md_done), .result(md_result)
  );

  // ---- counters --------------------------------------------------------------------------
  reg [63:0] cycles, retired;
  always @(posedge clk)
    if (rst) begin
      cycles <= 0;
      retired <= 0;
    end else begin
      cycles <= cycles + 1;
      if (state == WRITE) retired <= retired + 1;
    end
  wire        csr_known = instr[31:28] == 4'hc && instr[26:22] == 0 && instr[21:20] != 2'b11;
  wire [63:0] counter = instr[21:20] == 2'b10 ? retired : cycles;  // time counts cycles

  // ---- memory ----------------------------------------------------------------------------
  wire [31:0] ea = a + (is_store ? imm_s : imm_i);
  wire        unaligned = (f3[1:0] == 2'b01 && ea[0]) || (f3[1:0] == 2'b10 && ea[1:0] != 0);
  wire [3:0]  lanes = f3[1:0] == 2'b00 ? 4'b0001 : f3[1:0] == 2'b01 ? 4'b0011 : 4'b1111;
  reg  [1:0]  lane;
  wire [31:0] shifted = rdata >> {lane, 3'b0};
  wire        sign = !f3[2] && (f3[0] ? shifted[15] : shifted[7]);
  wire [31:0] loaded = f3[1] ? shifted : f3[0] ? {{16{sign}}, shifted[15:0]} : {{24{sign}}, shifted[7:0]};

  // ---- one instruction after another ------------------------------------------------------
  reg [31:0] next;
  wire writes = (is_lui || is_auipc || is_jal || is_jalr || is_load || is_imm || is_reg || is_csrr) && rd != 0;

  always @(posedge clk) begin
    if (state == READ) begin
      a <= regs[instr[19:15]];
      b <= regs[instr[24:20]];
    end
    if (state == WRITE && writes) regs[rd] <= result;
  end

  wire [2:0] route = is_shift ? SHIFT : is_muldiv ? MULDIV : WRITE;
  wire known = is_lui || is_auipc || is_jal || is_jalr || is_branch || is_alu || is_shift || is_muldiv ||
               is_fence || (is_csrr && csr_known);

  always @(posedge clk)
    if (rst) begin
      state <= FETCH;
      pc <= RESET;
      valid <= 0;
      wmask <= 0;
      trap <= 0;
    end else
      case (state)
        FETCH: begin
          valid <= !(valid && ready);
          addr <= pc;
          wmask <= 0;
          if (valid && ready) begin
            instr <= rdata;
            state <= READ;
          end
        end
        READ: state <= EXEC;
        EXEC: begin
          next <= is_jal || is_jalr || (is_branch && taken) ? {target[31:1], 1'b0} : pc + 4;
          result <= is_lui ? imm_u : is_auipc ? target : is_jal || is_jalr ? pc + 4 :
                    is_csrr ? (instr[27] ? counter[63:32] : counter[31:0]) : is_shift ? a : alu;
          shamt <= is_imm ? instr[24:20] : b[4:0];
          state <= known ? route : HALT;
          if (is_load || is_store) begin
            addr <= {ea[31:2], 2'b0};
            lane <= ea[1:0];
            wdata <= b << {ea[1:0], 3'b0};
            wmask <= is_store ? lanes << ea[1:0] : 4'b0;
            valid <= !unaligned;
            state <= unaligned ? HALT : MEM;
          end
        end
        SHIFT:
          if (shamt == 0) state <= WRITE;
          else begin
            shamt <= shamt - 1;
            result <= is_sll ? {result[30:0], 1'b0} : {f7[5] && result[31], result[31:1]};
          end
        MULDIV:
          if (md_done) begin
            result <= md_result;
            state <= WRITE;
          end
        MEM:
          if (ready) begin
            valid <= 0;
            wmask <= 0;
            result <= loaded;
            state <= WRITE;
          end
        WRITE: begin
          pc <= next;
          state <= next[1] ? HALT : FETCH;
        end
        HALT: trap <= 1;
      endcase
endmodule
