declare module "*.css" {
  /** Only with the attribute `type: "text"`. */
  const text: string;
  export default text;
}
