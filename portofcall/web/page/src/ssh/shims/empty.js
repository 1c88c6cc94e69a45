// What only Node has: never reached where there is Web Crypto.
module.exports = {};
