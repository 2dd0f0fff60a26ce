`timescale 1ns / 1ps
`default_nettype none
// The M extension, one bit a clock: 32 steps of shift and add, or of shift and subtract, on
// magnitudes; the sign is put right at the end. op is funct3. done is up for one clock.
module brontes_muldiv (
    input  wire        clk,
    input  wire        rst,
    input  wire        start,
    input  wire [2:0]  op,
    input  wire [31:0] a,
    input  wire [31:0] b,
    output reg         done,
    output wire [31:0] result
);
  wire division = op[2];
  wire a_signed = division ? !op[0] : op[1:0] != 2'b11;
  wire b_signed = division ? !op[0] : op[1] == 0;
  wire a_negative = a_signed && a[31];
  wire b_negative = b_signed && b[31];

  reg  [5:0]  left;
  reg  [31:0] high, low, other;
  reg         negate_product, negate_quotient, negate_remainder;

  // Multiplication: low holds the multiplier and takes in the product's low bits from above.
  wire [32:0] added = {1'b0, high} + (low[0] ? {1'b0, other} : 33'b0);
  // Division: high is the remainder so far, low the dividend and then the quotient.
  wire [32:0] shifted = {high, low[31]};
  wire [32:0] rest = shifted - {1'b0, other};

  always @(posedge clk) begin
    done <= 0;
    if (rst) left <= 0;
    else if (start) begin
      left <= 32;
      high <= 0;
      low <= a_negative ? -a : a;
      other <= b_negative ? -b : b;
      negate_product <= a_negative ^ b_negative;
      negate_quotient <= (a_negative ^ b_negative) && b != 0;  // x / 0 is all ones
      negate_remainder <= a_negative;
    end else if (left != 0) begin
      left <= left - 1;
      done <= left == 1;
      if (!division) {high, low} <= {added, low[31:1]};
      else begin
        high <= rest[32] ? shifted[31:0] : rest[31:0];
        low <= {low[30:0], !rest[32]};
      end
    end
  end

  wire [63:0] product = negate_product ? -{high, low} : {high, low};
  wire [31:0] quotient = negate_quotient ? -low : low;
  wire [31:0] remainder = negate_remainder ? -high : high;
  assign result = division ? (op[1] ? remainder : quotient) : (op[1:0] == 0 ? product[31:0] : product[63:32]);
endmodule
